package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/taskspan/taskspan/examples/internal/problem"
)

// demoTimeout bounds how long the demo waits for one thing to happen.
const demoTimeout = time.Minute

// pollInterval is how often the demo looks whether it has.
const pollInterval = 20 * time.Millisecond

// demo is the parent of two workers.
type demo struct {
	*process
	spans   *collector
	out     io.Writer
	workers []*child
}

// child is a worker process.
type child struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer // ends the process when it is closed, by whatever closes it
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// runDemo shows two processes at one queue.
func runDemo(ctx context.Context, f flags, stdout io.Writer) (err error) {
	d := f.dsn
	if d.driver == "" {
		var remove func() error
		if d, remove, err = temporary(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	spans, err := startCollector(ctx)
	if err != nil {
		return err
	}
	defer spans.close()

	killed, err := runProcesses(ctx, d, f.orders, spans, stdout)
	if err != nil {
		return err
	}
	// All processes have ended by now, and exported their telemetry.
	tree := spans.of(killed.trace)
	if len(tree) == 0 {
		fmt.Fprintln(stdout, "No task was traced: see OTEL_SDK_DISABLED and OTEL_TRACES_SAMPLER.")
		return nil
	}
	fmt.Fprintf(stdout, "The trace of job %d, %s, across the processes:\n\n", killed.job, killed.trace)
	printTree(stdout, tree)
	fmt.Fprintln(stdout, "\nOf the attempt that was killed there are only the spans that had ended, marked by …")
	return nil
}

// runProcesses does all that takes more than one process. It returns the order
// whose job was being worked on by the process that was killed.
func runProcesses(ctx context.Context, d dsn, orders int, spans *collector, stdout io.Writer) (killed placed, err error) {
	// The queue of its own has no jobs. A client with a queue can lead the
	// others, and this one is there first: whoever is killed is not the leader.
	name := fmt.Sprintf("producer-%d", os.Getpid())
	p, err := open(ctx, name, d, spans.url, map[string]river.QueueConfig{"nothing": {MaxWorkers: 1}})
	x := &demo{process: p, spans: spans, out: stdout}
	defer func() {
		err = errors.Join(err, x.end(ctx), p.close(ctx))
	}()
	if err != nil {
		return killed, err
	}
	if err := p.prepare(ctx, d); err != nil {
		return killed, err
	}
	if err := p.start(ctx); err != nil {
		return killed, err
	}
	for i := range 2 {
		if err := x.startWorker(ctx, fmt.Sprintf("worker-%d-%d", i+1, os.Getpid()), d); err != nil {
			return killed, err
		}
	}
	if err := x.ready(); err != nil {
		return killed, err
	}
	if err := x.share(ctx, orders); err != nil {
		return killed, err
	}
	return x.kill(ctx)
}

// share has the processes share the jobs of some orders.
func (x *demo) share(ctx context.Context, orders int) error {
	all := make([]placed, 0, orders)
	for range orders {
		p, err := place(ctx, x.db, x.queue, shortWork)
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	done := make(map[string][]int64)
	for _, p := range all {
		job, err := x.await(ctx, p.job, func(j *rivertype.JobRow) bool { return j.FinalizedAt != nil })
		if err != nil {
			return err
		}
		if job.State != rivertype.JobStateCompleted {
			return problem.New(fmt.Sprintf("job %d is %s", job.ID, job.State), nil)
		}
		by := last(job.AttemptedBy)
		done[by] = append(done[by], job.ID)
	}
	fmt.Fprintf(x.out, "%s done by %s:\n\n", plural(len(all), "job", "jobs"), plural(len(done), "process", "processes"))
	for _, by := range slices.Sorted(maps.Keys(done)) {
		fmt.Fprintf(x.out, "  %s  %s: %s\n", by, plural(len(done[by]), "job", "jobs"), strings.Trim(fmt.Sprint(done[by]), "[]"))
	}
	fmt.Fprintln(x.out)
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// kill kills the process that works on a job, and waits until another one has
// done it.
func (x *demo) kill(ctx context.Context) (placed, error) {
	p, err := place(ctx, x.db, x.queue, longWork)
	if err != nil {
		return p, err
	}
	job, err := x.await(ctx, p.job, func(j *rivertype.JobRow) bool { return j.State == rivertype.JobStateRunning })
	if err != nil {
		return p, err
	}
	i := slices.IndexFunc(x.workers, func(c *child) bool { return c.name == last(job.AttemptedBy) })
	if i < 0 {
		return p, problem.New(fmt.Sprintf("job %d is worked on by %s, which is not of this demo", job.ID, last(job.AttemptedBy)), nil)
	}
	victim := x.workers[i]
	x.workers = slices.Delete(x.workers, i, i+1)
	// It is to be seen in the trace: wait for its first span, which is its query.
	seen := time.Now().Add(longWork / 2)
	if _, err := x.await(ctx, p.job, func(*rivertype.JobRow) bool {
		return x.spans.knows(p.trace, victim.name) || time.Now().After(seen)
	}); err != nil {
		return p, err
	}
	if err := victim.cmd.Process.Kill(); err != nil {
		return p, err
	}
	_ = victim.cmd.Wait() // it was killed: that is the error
	fmt.Fprintf(x.out, "%s is killed in the middle of job %d.\n", victim.name, p.job)
	fmt.Fprintf(x.out, "River gives the job to another process once it has run for %v.\n", rescueAfter)

	// River's leader looks for jobs like this one when it takes office, and every
	// 30 seconds from then on. There is no need to wait for that here: once it is
	// sure that the job has been given up, let the clients elect a leader again.
	progress := x.progress()
	if _, err := x.await(ctx, p.job, func(j *rivertype.JobRow) bool {
		progress(j)
		return j.AttemptedAt != nil && time.Since(*j.AttemptedAt) > rescueAfter
	}); err != nil {
		return p, err
	}
	if err := x.queue.resign(ctx); err != nil {
		return p, err
	}
	job, err = x.await(ctx, p.job, func(j *rivertype.JobRow) bool {
		progress(j)
		return j.FinalizedAt != nil
	})
	if err != nil {
		return p, err
	}
	if job.State != rivertype.JobStateCompleted {
		return p, problem.New(fmt.Sprintf("job %d is %s", job.ID, job.State), nil)
	}
	fmt.Fprintf(x.out, "%s has done it, in attempt %d, %s after it was inserted.\n\n",
		last(job.AttemptedBy), job.Attempt, job.FinalizedAt.Sub(job.CreatedAt).Round(100*time.Millisecond))
	return p, nil
}

// progress returns a function that prints, once a second, how far a job is.
func (x *demo) progress() func(*rivertype.JobRow) {
	next := time.Now().Add(time.Second)
	return func(j *rivertype.JobRow) {
		if time.Now().Before(next) {
			return
		}
		next = next.Add(time.Second)
		fmt.Fprintf(x.out, "  job %d: %s, attempt %d, %v after it was inserted\n",
			j.ID, j.State, j.Attempt, time.Since(j.CreatedAt).Round(time.Second))
	}
}

// await waits until a job is as it should be.
func (x *demo) await(ctx context.Context, id int64, as func(*rivertype.JobRow) bool) (*rivertype.JobRow, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoTimeout, problem.New(fmt.Sprintf("job %d has not been done in %v", id, demoTimeout), nil))
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		job, err := x.queue.JobGet(ctx, id)
		if err != nil {
			return nil, err
		}
		if as(job) {
			return job, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func last(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return names[len(names)-1]
}

// startWorker starts this program as a worker.
func (x *demo) startWorker(ctx context.Context, name string, d dsn) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	c := &child{name: name}
	// It is ended by end, and not by the context: it has jobs to finish.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, "-role", "worker", "-name", name)
	c.cmd.Env = append(os.Environ(), dsnVariable+"="+d.source, collectorVariable+"="+x.spans.url)
	c.cmd.Stderr = &c.stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.stdout = bufio.NewReader(stdout)
	if err := c.cmd.Start(); err != nil {
		return err
	}
	x.workers = append(x.workers, c)
	return nil
}

// ready waits until all workers work.
func (x *demo) ready() error {
	for i, c := range x.workers {
		if _, err := c.stdout.ReadString('\n'); err != nil {
			_ = c.cmd.Wait() // its last line has more
			x.workers = slices.Delete(x.workers, i, i+1)
			return problem.New(c.name+" did not start: "+lastLine(c.stderr.String()), nil)
		}
	}
	return nil
}

// end asks all workers to finish, and waits for them.
func (x *demo) end(ctx context.Context) (err error) {
	for _, c := range x.workers {
		if c.cmd.Process.Signal(syscall.SIGTERM) != nil {
			_ = c.stdin.Close() // there are systems without signals
		}
	}
	for _, c := range x.workers {
		line, _ := c.stdout.ReadString('\n')
		_, _ = io.Copy(io.Discard, c.stdout)
		if wait := c.cmd.Wait(); wait != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w: %s", c.name, wait, lastLine(c.stderr.String())))
		} else if ctx.Err() == nil {
			fmt.Fprint(x.out, line)
		}
	}
	if len(x.workers) > 0 && err == nil && ctx.Err() == nil {
		fmt.Fprintln(x.out)
	}
	return err
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
