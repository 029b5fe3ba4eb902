// Package tasktest is for tests of worker tasks: which statements a task runs, how
// often, what it leaves open, and how it ends.
//
//	func TestImport(t *testing.T) {
//		h := tasktest.New(t)
//		store := NewStore(h.Open("sqlite3", filepath.Join(t.TempDir(), "orders.db")))
//		h.Run("orders.import", store.Import).
//			Succeeds().
//			MaxStatements(3).
//			NoRepeats().
//			NoLeaks()
//		h.NoStatementsOutside()
//	}
//
// A [Harness] has providers and a runner of its own, which nothing else in the
// process uses, so tests may run in parallel. Code that calls worker.Run itself finds
// the runner through the context of [Harness.Context]; [Harness.Task] has the last
// run of a name.
//
// An assertion that does not hold fails the test with t.Errorf, and the test goes
// on. The message has what was expected, lists the statements that are too many, or
// what was leaked, with the lines of code, and ends with the report of the run. The
// page docs/testing.md shows each of them.
//
// Nothing depends on time, and no goroutine is started: a Harness may be used
// within the bubble of testing/synctest.
package tasktest
