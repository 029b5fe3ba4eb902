package riverworker

import (
	"reflect"
	"strings"
	"sync"

	"github.com/riverqueue/river"
)

// AddWorker does as [river.AddWorker] does, and notes the worker's method Work:
// it is the code.function.name of the spans of its jobs. Jobs of other workers
// have none, and neither have functions that [river.WorkFunc] makes workers of.
//
// The name belongs to the kind of the jobs, and its aliases. If a process adds
// workers of two types for one kind, as to two clients, the kind has no name.
func AddWorker[T river.JobArgs](workers *river.Workers, w river.Worker[T]) {
	river.AddWorker(workers, w)
	note[T](w)
}

// AddWorkerSafely does as [river.AddWorkerSafely] does, and notes the worker as
// [AddWorker] does, if there is no error.
func AddWorkerSafely[T river.JobArgs](workers *river.Workers, w river.Worker[T]) error {
	if err := river.AddWorkerSafely(workers, w); err != nil {
		return err
	}
	note[T](w)
	return nil
}

// methods holds the methods Work of the workers that were added, by the kind of
// their jobs; nil for a kind that has several.
var methods sync.Map

// workMethod is a method as a function. Two are the same if their types are.
type workMethod struct {
	of reflect.Type
	fn any
}

// note notes the method Work of a worker.
func note[T river.JobArgs](w river.Worker[T]) {
	defer guard("noting a worker")
	of := reflect.TypeOf(w)
	if of == nil || isRivers(of) {
		return
	}
	m, ok := of.MethodByName("Work")
	if !ok {
		return
	}
	var args T
	kinds := []string{args.Kind()}
	if a, ok := any(args).(river.JobArgsWithKindAliases); ok {
		kinds = append(kinds, a.KindAliases()...)
	}
	noted := &workMethod{of: of, fn: m.Func.Interface()}
	for _, kind := range kinds {
		if before, known := methods.LoadOrStore(kind, noted); known {
			if b, _ := before.(*workMethod); b == nil || b.of != of {
				methods.Store(kind, (*workMethod)(nil))
			}
		}
	}
}

// isRivers reports whether a type is one of River's own, whose name means nothing.
func isRivers(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	const path = "github.com/riverqueue/river"
	return t.PkgPath() == path || strings.HasPrefix(t.PkgPath(), path+"/")
}

// workOf returns the method Work of the worker for a kind of job, nil if it is
// not known.
func workOf(kind string) any {
	v, _ := methods.Load(kind)
	if m, _ := v.(*workMethod); m != nil {
		return m.fn
	}
	return nil
}
