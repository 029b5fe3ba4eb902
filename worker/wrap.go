package worker

import (
	"context"
	"reflect"
	"slices"

	"go.opentelemetry.io/otel/attribute"
)

// Wrap returns a function that does as fn does, and is a task of that name each
// time it is called.
//
// If A is a struct, or a pointer to one, with fields tagged `trace:"key"`, these
// are recorded as the task's input; see [WithInput]. An option
// WithInput(func(A) []attribute.KeyValue) chooses instead what to record.
//
// The returned function is safe for concurrent use if fn is.
func Wrap[A, T any](name string, fn func(context.Context, A) (T, error), opts ...TaskOption) func(context.Context, A) (T, error) {
	pc := functionPC(fn)
	shared := newTaskConfig(opts)
	argument := argumentOf[A](shared)
	return func(ctx context.Context, arg A) (value T, err error) {
		c := shared
		if argument != nil {
			c = new(taskConfig)
			*c = *shared
			c.inputs = argument(arg)
		}
		t, err := begin(ctx, nil, name, pc, c)
		if err != nil {
			return value, err
		}
		defer t.end(&err)
		value, err = fn(t.context(), arg)
		t.returned = true
		return value, err
	}
}

// argumentOf returns a function that returns the inputs of a task with its
// argument, or nil if there is nothing to record of it.
func argumentOf[A any](c *taskConfig) func(A) []any {
	type describe = func(A) []attribute.KeyValue
	isDescribe := func(v any) bool {
		_, ok := v.(describe)
		return ok
	}
	t := reflect.TypeFor[A]()
	switch {
	case slices.ContainsFunc(c.inputs, isDescribe):
		return func(arg A) []any {
			inputs := slices.Clone(c.inputs)
			for i, v := range inputs {
				if f, ok := v.(describe); ok && f != nil {
					inputs[i] = func() []attribute.KeyValue { return f(arg) }
				} else if ok {
					inputs[i] = nil
				}
			}
			return inputs
		}
	case t.Kind() == reflect.Interface:
		// The fields are not known before there is a value.
		return func(arg A) []any {
			if t := reflect.TypeOf(arg); t == nil || !tagged(t) {
				return c.inputs
			}
			return append(c.inputs[:len(c.inputs):len(c.inputs)], arg)
		}
	case tagged(t):
		return func(arg A) []any { return append(c.inputs[:len(c.inputs):len(c.inputs)], arg) }
	default:
		return nil
	}
}
