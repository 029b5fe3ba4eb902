package errs

import "reflect"

// catch ends a panic in the function that defers it, and clears *ok.
func catch(ok *bool) {
	if recover() != nil {
		*ok = false
	}
}

// try calls a method of an error. It is somebody else's code: a nil pointer is enough
// to make it panic. Then ok is false, and the rest of the tree is looked at all the same.
func try[T any](method func() T) (result T, ok bool) {
	ok = true
	defer catch(&ok)
	return method(), ok
}

// unwrap returns what err wraps: many for joined errors, one for a single one.
func unwrap(err error, info *typeInfo) (many []error, one error) {
	switch {
	case info.unwrapsMany:
		many, _ = try(err.(interface{ Unwrap() []error }).Unwrap)
	case info.list: // also where Unwrap leads from one element to the rest
		many = elements(err)
	case info.unwraps:
		one, _ = try(err.(interface{ Unwrap() error }).Unwrap)
	}
	return many, one
}

// elements returns the errors of which err, a slice, is made.
func elements(err error) []error {
	v := reflect.ValueOf(err)
	inner := make([]error, 0, min(v.Len(), maxNodes))
	for i := range min(v.Len(), maxNodes) {
		if e, ok := v.Index(i).Interface().(error); ok {
			inner = append(inner, e)
		}
	}
	return inner
}

// is asks err's own method Is.
func is(err, target error) bool {
	i, ok := err.(interface{ Is(error) bool })
	return ok && confirms(func() bool { return i.Is(target) })
}

// confirms asks an error's own method, of which a panic is a no.
func confirms(method func() bool) bool {
	yes, ok := try(method)
	return yes && ok
}
