package worker

// Version is the version of the instrumentation scope.
const Version = "0.1.0"

// scopeName is the name of the instrumentation scope.
const scopeName = "github.com/taskspan/taskspan/worker"
