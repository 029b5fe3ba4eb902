// Package tree prints traces as trees on a terminal: for seeing what a program does without any backend.
//
//	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tree.New(os.Stderr)))
//
// A program that calls telemetry.Start needs no code for it: OTEL_TRACES_EXPORTER=tree prints to standard error.
package tree
