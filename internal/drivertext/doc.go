// Package drivertext remembers drivers' texts, and finds them again in the texts of
// others.
//
// Many errors of drivers are plain texts that quote what the driver was given, and
// an error of any type becomes a plain text once an application formats it. By the
// time a task returns such a text, it looks like the application's own. So package
// otdb remembers the texts of every error that a driver returned, in the [Memory] of
// the task that got it and in that of the process, and package errs replaces them by
// their safe texts where they come back.
//
// Texts are compared word by word. Case, white space, punctuation and escapes do not
// count, so that a text is found in upper case, trimmed, with its lines joined, in
// JSON, and after %q, however often. [Find] documents how much of a text has to stand in
// another one.
package drivertext
