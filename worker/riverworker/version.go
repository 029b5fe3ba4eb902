package riverworker

// Version is the version of the instrumentation scope of insert spans.
const Version = "0.1.0"

// scopeName is the name of that scope.
const scopeName = "github.com/taskspan/taskspan/worker/riverworker"
