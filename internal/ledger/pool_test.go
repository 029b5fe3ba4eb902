package ledger

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Every wait is claimed once, by whoever comes first, however many claim at once;
// no share is negative.
func TestClaim(t *testing.T) {
	var waited atomic.Int64
	waited.Store(1000) // before anybody looked
	p := NewPool("pool", func() time.Duration { return time.Duration(waited.Load()) })
	defer p.Register()()
	if d := p.Claim(); d != 0 {
		t.Errorf("claimed %v of what was before", d)
	}
	var claimed atomic.Int64
	l := New(nil, "load")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				waited.Add(rand.Int64N(10))
				d := p.Claim()
				if d < 0 {
					t.Errorf("claimed %v", d)
				}
				claimed.Add(int64(d))
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			l.GiveUp()
		}
	})
	wg.Wait()
	l.GiveUp()
	if got := claimed.Load() + int64(l.Totals().Wait); got != waited.Load()-1000 {
		t.Errorf("claimed %d, want %d", got, waited.Load()-1000)
	}
}

// A clock that goes back, as a reading that is overtaken does, takes nothing back.
func TestClaimOvertaken(t *testing.T) {
	readings := []time.Duration{0, 10, 5, 12}
	p := NewPool("pool", func() time.Duration {
		r := readings[0]
		readings = readings[1:]
		return r
	})
	for _, want := range []time.Duration{10, 0, 2} {
		if d := p.Claim(); d != want {
			t.Errorf("claimed %v, want %v", d, want)
		}
	}
}

func TestRegisterPools(t *testing.T) {
	grows := func() func() time.Duration {
		var d time.Duration
		return func() time.Duration { d += time.Second; return d }
	}
	if HasPools() {
		t.Fatal("there are pools")
	}
	a, b := NewPool("a", grows()).Register(), NewPool("b", grows()).Register()
	l := New(nil, "load")
	l.GiveUp()
	a()
	a()
	l.GiveUp()
	b()
	l.GiveUp()
	(*Ledger)(nil).GiveUp()
	if l.Totals().Wait != 3*time.Second || HasPools() {
		t.Errorf("waited %v", l.Totals().Wait)
	}
}
