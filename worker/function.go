package worker

import (
	"reflect"
	"runtime"
	"strings"
)

// functionPC returns the entry of the code of a function, 0 for nil.
func functionPC(fn any) uintptr { return reflect.ValueOf(fn).Pointer() }

// functionName returns the name of a function as code.function.name wants it,
// "" if it is not known.
func functionName(pc uintptr) string {
	if pc == 0 {
		return ""
	}
	f := runtime.FuncForPC(pc)
	if f == nil {
		return ""
	}
	// The compiler marks the function that binds a method to its receiver.
	return strings.TrimSuffix(f.Name(), "-fm")
}
