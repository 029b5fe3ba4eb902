package main

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/taskspan/taskspan/worker"
)

// nightly is a task that is to succeed within a time.
const nightly = "load.nightly"

// scenario is one kind of trouble, and what a dashboard, an alert and a finding show of
// it. It plays once; what it holds, it holds until its context is done.
type scenario struct {
	name, about string
	options     []worker.Option // of its runner
	play        func(ctx context.Context, s *scene) error
}

// within has the nightly task succeed in less time than a night, for those
// who do not want to wait for one.
var within = []worker.Option{worker.WithSchedule(nightly, 30*time.Minute)}

var scenarios = []scenario{
	{"pool", "all connections are in use, and somebody waits", nil, usedUp},
	{"leaked-transaction", "a task ends neither of its transactions", nil, leakedTransaction},
	{"idle-transaction", "a task pauses between two statements of a transaction", nil, idleTransaction},
	{"repeated-statement", "a task asks an ORM once for each row", nil, repeatedStatement},
	{"retry-storm", "most attempts fail, and each job succeeds", nil, retries(3)},
	{"one-retry", "one attempt of a job fails, and the next one succeeds", nil, retries(2)},
	{"first-failure", "a nightly task fails for the first time", nil, firstFailure},
	{"never", "a nightly task never runs", within, nothing},
	{"standby", "a nightly task runs on the other replica", within, nothing},
	{"nightly", "a nightly task runs on this replica", within, everyTwentyMinutes},
	{"once", "a task runs once, at the start", nil, once},
	{"stuck", "a statement does not end", nil, stuck},
	{"crash", "a task panics on a goroutine of its own, and the process ends", nil, crash},
}

// find returns the scenario of that name.
func find(name string) (scenario, bool) {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		return scenario{}, false
	}
	return scenarios[i], true
}

// usedUp holds all connections, and lets a task wait for one.
func usedUp(ctx context.Context, s *scene) error {
	var held, ended sync.WaitGroup
	for range connections {
		held.Add(1)
		ended.Go(func() {
			_ = s.runner.Run(context.WithoutCancel(ctx), "load.hold", func(task context.Context) error {
				conn, err := s.db.Conn(task)
				held.Done()
				if err != nil {
					return err
				}
				<-ctx.Done()
				return conn.Close()
			})
		})
	}
	held.Wait()
	err := s.runner.Run(context.WithoutCancel(ctx), "load.victim", func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "UPDATE orders SET customer = ? WHERE id = ?", 3, 1) // here: pool
		return err
	})
	ended.Wait()
	return err
}

// leakedTransaction leaks two: the first is known by its statement, the second by its
// line as well.
func leakedTransaction(ctx context.Context, s *scene) error {
	var open []*sql.Tx
	for range 2 {
		err := s.runner.Run(context.WithoutCancel(ctx), "load.leak", func(ctx context.Context) error {
			tx, err := s.db.BeginTx(ctx, nil) // here: leaked-transaction
			if err != nil {
				return err
			}
			open = append(open, tx)
			var n int
			return tx.QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&n)
		})
		if err != nil {
			return err
		}
	}
	<-ctx.Done()
	var err error
	for _, tx := range open {
		err = errors.Join(err, tx.Rollback())
	}
	return err
}

func idleTransaction(ctx context.Context, s *scene) error {
	return s.runner.Run(ctx, "load.idle", func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() // does nothing after Commit
		if _, err := tx.ExecContext(ctx, "UPDATE orders SET customer = ? WHERE id = ?", 3, 1); err != nil {
			return err
		}
		if err := pause(ctx, 15*time.Second); err != nil { // it asks somebody else, say
			return err
		}
		return tx.Commit() // here: idle-transaction
	})
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// order is a row, as the ORM has it.
type order struct{ ID, Customer int }

func repeatedStatement(ctx context.Context, s *scene) error {
	return s.runner.Run(ctx, "load.row_by_row", func(ctx context.Context) error {
		for id := range 25 {
			var found []order
			if err := s.orm.WithContext(ctx).Where("id = ?", id).Find(&found).Error; err != nil { // here: repeated-statement
				return err
			}
		}
		return nil
	})
}

var errBusy = errors.New("the carrier is busy")

// retries returns a scenario of twelve jobs, of which each succeeds in its last attempt.
func retries(attempts int) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		for range 12 {
			for n := 1; n <= attempts; n++ {
				err := s.runner.Run(ctx, "load.job", func(context.Context) error {
					if n < attempts {
						return errBusy
					}
					return nil
				}, worker.WithAttempt(n), worker.WithMaxAttempts(attempts))
				if n == attempts && err != nil {
					return err
				}
				if err := pause(ctx, 20*time.Second); err != nil {
					return nil //nolint:nilerr // it is over
				}
			}
		}
		return nil
	}
}

func firstFailure(ctx context.Context, s *scene) error {
	_ = s.runner.Run(ctx, nightly, func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "INSERT INTO orders VALUES (?, 1)", 1)
		return err
	})
	return nil
}

func nothing(context.Context, *scene) error { return nil }

func count(s *scene) func(context.Context) error {
	return func(ctx context.Context) error {
		var n int
		return s.db.QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&n)
	}
}

func everyTwentyMinutes(ctx context.Context, s *scene) error {
	for {
		if err := s.runner.Run(ctx, nightly, count(s)); err != nil {
			return err
		}
		if err := pause(ctx, 20*time.Minute); err != nil {
			return nil //nolint:nilerr // it is over
		}
	}
}

func once(ctx context.Context, s *scene) error { return s.runner.Run(ctx, "load.once", count(s)) }

func stuck(ctx context.Context, s *scene) error {
	return s.runner.Run(context.WithoutCancel(ctx), "load.stuck", func(ctx context.Context) error {
		var n int
		return s.db.QueryRowContext(ctx, "SELECT stall() FROM orders LIMIT 1").Scan(&n) // here: stuck
	})
}

// crash ends the process.
func crash(ctx context.Context, s *scene) error {
	return s.runner.Run(ctx, "load.outer", func(ctx context.Context) error {
		_, err := worker.Go(ctx, "load.inner", func(context.Context) (int, error) {
			return mean(10, 0), nil
		}, worker.WithRunner(s.runner)).Wait()
		return err
	})
}

func mean(total, n int) int {
	return total / n // here: crash
}
