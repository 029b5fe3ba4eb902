package errs

import (
	"reflect"
	"strings"

	"github.com/taskspan/taskspan/internal/drivertext"
)

// Bounds of what is looked at in the fields of one error.
const (
	maxFields     = 128
	maxFieldDepth = 8
)

// appendFields adds the strings that are in the exported fields of a driver's error,
// also in those of what the fields hold: an application may put the detail into its
// own text. If the database is known, the fields that its safe text may have, and
// those that are the same for every error of a kind, are left out.
func appendFields(said []*drivertext.Text, n *node) []*drivertext.Text {
	c := fieldCollector{known: n.info.shape != shapeNone, raw: n.raw}
	c.collectError(n.err)
	for _, s := range c.found {
		said = append(said, drivertext.New(s, "?"))
	}
	return said
}

type fieldCollector struct {
	known bool
	raw   string
	found []string
	seen  int
}

func (c *fieldCollector) collectError(err error) {
	var ok bool
	defer catch(&ok)
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	c.collect(v, "", 0)
}

func (c *fieldCollector) collect(v reflect.Value, name string, depth int) {
	if c.seen++; c.seen > maxFields || depth > maxFieldDepth {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); s != "" && s != c.raw && !(c.known && isTold(name, s)) {
			c.found = append(c.found, s)
		}
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.CanInterface() {
			if err, ok := v.Interface().(error); ok { // which Unwrap need not lead to
				text, _ := try(err.Error)
				c.collect(reflect.ValueOf(text), "", depth)
			}
		}
		c.collect(v.Elem(), name, depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() || f.Anonymous {
				c.collect(v.Field(i), f.Name, depth+1)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			text := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(text), v)
			c.collect(reflect.ValueOf(strings.Trim(string(text), "\x00")), name, depth)
			return
		}
		for i := range min(v.Len(), maxFields) {
			c.collect(v.Index(i), name, depth+1)
		}
	case reflect.Map:
		for i := v.MapRange(); i.Next() && c.seen <= maxFields; {
			c.collect(i.Key(), name, depth+1)
			c.collect(i.Value(), name, depth+1)
		}
	}
}

// isTold reports whether the safe text of a database's error may have the string s,
// of the field of that name, or a program's own text as well.
func isTold(field, s string) bool {
	switch strings.TrimSuffix(field, "Name") {
	case "Severity", "SeverityUnlocalized", "Code", "State", "SQLState", "File", "Routine", "Line", "Position", "InternalPosition":
		return len(s) <= 64
	case "Schema", "Table", "Column", "Constraint", "DataType":
		return isIdentifier(s)
	}
	return false
}
