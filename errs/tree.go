package errs

import "reflect"

// The methods of an error are somebody else's code: a nil pointer is enough to
// make them panic. Each is called in a function of its own that gives up quietly,
// so that the rest of the tree is looked at all the same.

// catch ends a panic in the function that defers it, and clears *ok.
func catch(ok *bool) {
	if recover() != nil {
		*ok = false
	}
}

// unwrap returns what err wraps: many for joined errors, one for a single one.
func unwrap(err error, info *typeInfo) (many []error, one error) {
	switch {
	case info.unwrapsMany:
		return unwrapMany(err), nil
	case info.list: // also where Unwrap leads from one element to the rest
		return elements(err), nil
	case info.unwraps:
		return nil, unwrapOne(err)
	}
	return nil, nil
}

func unwrapOne(err error) (inner error) {
	var ok bool
	defer catch(&ok)
	if u, is := err.(interface{ Unwrap() error }); is {
		inner = u.Unwrap()
	}
	return inner
}

func unwrapMany(err error) (inner []error) {
	var ok bool
	defer catch(&ok)
	if u, is := err.(interface{ Unwrap() []error }); is {
		inner = u.Unwrap()
	}
	return inner
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

// textOf returns what err says; ok is false if it cannot be asked.
func textOf(err error) (text string, ok bool) {
	ok = true
	defer catch(&ok)
	return err.Error(), ok
}

// is asks err's own method Is; a method that panics says no.
func is(err, target error) (yes bool) {
	defer catch(&yes)
	if i, ok := err.(interface{ Is(error) bool }); ok {
		return i.Is(target)
	}
	return false
}

// timedOut asks err's own method Timeout.
func timedOut(err error) (yes bool) {
	defer catch(&yes)
	if t, ok := err.(interface{ Timeout() bool }); ok {
		return t.Timeout()
	}
	return false
}

// safeToRetry asks err's own method SafeToRetry, by which pgconn says that
// nothing had been sent to the server.
func safeToRetry(err error) (yes bool) {
	defer catch(&yes)
	if s, ok := err.(interface{ SafeToRetry() bool }); ok {
		return s.SafeToRetry()
	}
	return false
}
