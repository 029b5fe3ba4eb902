package otdb

// Version is the version of the instrumentation scope.
const Version = "0.1.0"
