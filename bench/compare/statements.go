package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"

	"github.com/taskspan/taskspan/otdb"
)

// statementCase is one kind of work on the driver that does nothing.
type statementCase struct {
	name   string
	rows   int
	work   work
	floors int // operations, each with its own span
	limits limits
}

var statementCases = []statementCase{
	{"exec", 0, exec(query, arguments...), 1, limits{floor: 1.15, peer: 0.8, allocs: 2}},
	{"query, 1 row", 1, read(query, arguments...), 1, limits{floor: 1.25, peer: 0.9}},
	{"query, 100 rows", 100, read(query, arguments...), 1, limits{}},
	{"prepared, 1 row", 1, prepared(query, arguments...), 1, limits{}},
	{"transaction of 3", 0, transaction(3, query, arguments...), 5, limits{peer: 0.8}},
}

// statements measures statements on the driver that does nothing.
func statements(r *report) error {
	for _, c := range statementCases {
		for _, p := range parents {
			connect := func() (driver.Connector, error) { return noopConnector(c.rows), nil }
			g, err := wrapped(p.context(), c.name, p.name, r.plan, connect, c.work, c.floors)
			if err != nil {
				return err
			}
			limits := c.limits
			if p != sampled {
				limits.allocs = 0
			}
			r.add(g, limits)
			if c.rows > 1 {
				r.lessThanXSAM(g)
			}
		}
	}
	return r.limitedPool()
}

// limitedPool measures what it costs an exec that its pool has a limit, where nobody waits:
// to know that takes a look at the pool.
func (r *report) limitedPool() error {
	var s subjects
	defer s.close()
	for _, limited := range []bool{false, true} {
		for _, role := range []role{bare, own} {
			db, name := sql.OpenDB(noopConnector(0)), "bare"
			if role == own {
				db, name = openOurs(noopConnector(0), sdkProviders()), "otdb"
			}
			s.closers = append(s.closers, db.Close)
			if limited {
				db.SetMaxOpenConns(1)
				role, name = aside, name+", limited pool"
			}
			do, err := exec(query, arguments...)(sampled.context(), db)
			if err != nil {
				return err
			}
			s.add(role, name, do)
		}
	}
	g, err := s.measure("exec", sampled.name, r.plan)
	if err != nil {
		return err
	}
	r.add(g, limits{})
	took := func(i int) float64 { return g.results[i].time }
	r.budgets = append(r.budgets, budget{
		what: "a limited pool's statement, for its wait", measured: took(3) - took(2) - (took(1) - took(0)), limit: 50, unit: " ns",
	})
	return nil
}

// wrapped measures work on databases that were opened bare and in every way.
// The floor does the bare work too, so that its overhead is taken as theirs is.
func wrapped(ctx context.Context, name, parent string, pl plan, connect func() (driver.Connector, error), w work, floors int) (*group, error) {
	var s subjects
	defer s.close()
	least, err := statementFloor(sdkProviders())
	if err != nil {
		return nil, err
	}
	plain := wrapper{name: "bare", open: func(c driver.Connector, _ providers) (*sql.DB, error) { return sql.OpenDB(c), nil }}
	for i, way := range append([]wrapper{plain, plain, ours}, peers...) {
		c, err := connect()
		if err != nil {
			return nil, err
		}
		db, err := way.open(c, sdkProviders())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		s.closers = append(s.closers, db.Close)
		do, err := w(ctx, db)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, way.name, err)
		}
		switch i {
		case 0:
			s.add(bare, way.name, do)
		case 1:
			s.add(floor, "floor", func() error {
				for range floors {
					least(ctx)
				}
				return do()
			})
		case 2:
			s.add(own, way.name, do)
		default:
			if way.less && floors > 1 {
				s.add(aside, way.name+" *", do)
				continue
			}
			s.add(other, way.name, do)
		}
	}
	return s.measure(name, parent, pl)
}

// lifecycle measures what the operations around statements cost: an empty
// transaction is two of them. Without spans and points all that remains is the
// way, which is shown beside otelsql's: the reason why transactions do not go
// through it.
func lifecycle(r *report) error {
	for _, p := range parents {
		w := transaction(0, "")
		g, err := wrapped(p.context(), "BEGIN and COMMIT", p.name, r.plan, func() (driver.Connector, error) { return noopConnector(0), nil }, w, 2)
		if err != nil {
			return err
		}
		r.add(g, limits{})
	}
	ctx := sampled.context()
	var s subjects
	defer s.close()
	otelsql, err := peers[0].open(noopConnector(0), noopProviders())
	if err != nil {
		return err
	}
	for _, way := range []struct {
		role role
		name string
		db   *sql.DB
	}{
		{bare, "bare", sql.OpenDB(noopConnector(0))},
		{aside, "otdb, not observed", openOurs(noopConnector(0), sdkProviders(), otdb.WithOperations(0))},
		{aside, "otdb, no providers", openOurs(noopConnector(0), noopProviders())},
		{aside, peers[0].name + ", no providers", otelsql},
	} {
		s.closers = append(s.closers, way.db.Close)
		do, err := transaction(0, "")(ctx, way.db)
		if err != nil {
			return err
		}
		s.add(way.role, way.name, do)
	}
	g, err := s.measure("BEGIN and COMMIT", "sampled", r.plan)
	if err != nil {
		return err
	}
	r.add(g, limits{})
	return nil
}

// subjects are those of one group.
type subjects struct {
	list    []subject
	roles   []role
	closers []func() error
}

func (s *subjects) add(r role, name string, do func() error) {
	s.list = append(s.list, subject{name, do})
	s.roles = append(s.roles, r)
}

func (s *subjects) close() {
	for _, c := range s.closers {
		_ = c() // nothing was written that matters
	}
}

func (s *subjects) measure(name, parent string, p plan) (*group, error) {
	results, err := measure(s.list, p)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", name, parent, err)
	}
	return &group{name, parent, s.roles, results}, nil
}

// positive returns v, or NaN where a difference of two times was lost in noise.
func positive(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}
