// Package taskz is a page that shows which tasks run now, and how the last runs
// of each task went.
//
//	page := taskz.New(nil)
//	defer page.Close()
//	mux.Handle("/debug/tasks", page)
//
// The page has four views:
//
//   - Running: each run with its id, its attempt, its age, what it does now, what
//     it holds, how many operations its databases did, and how far it is: by
//     [worker.Progress], otherwise against the last runs of its task.
//   - Recent: the results of each task, its p50 and p95, and the runs that are kept.
//   - One run: its statements over time, its findings with file and line, the safe
//     text of its error, and its trace id.
//   - Statements: those of all tasks by summary, with their share of the time
//     inside drivers.
//
// A browser gets HTML. It needs no script: with script, filtering needs no reload
// and the page refreshes without flicker. A client that accepts application/json
// gets the same figures as JSON, and any other, such as curl, gets plain text. All
// links are relative queries, so that the page works at any path, below any prefix,
// and behind a proxy that rewrites paths.
//
// The page shows what the library exports elsewhere: names, ids, sanitised
// statements, safe error texts. It has no access control of its own. Mount it
// where profiles and metrics are, and not in front of the public.
//
// # Memory and cost
//
// A page keeps at most 20 runs of each of 64 tasks, 200 statements a run, 1,000
// summaries, and at most 32 MiB in all, texts included: beyond that the oldest plain
// runs go first. Runs that failed, that have findings, and the slowest of each task are
// kept longer than plain ones.
//
// While a page watches, a statement in a task costs about 35 ns more, and a
// running task keeps up to 120 KiB more. [Page.Close] ends that. A page starts no
// goroutine, and no task waits for a page that is being read.
package taskz
