package ledger

import "time"

// Snapshot is what a ledger knows at one moment.
type Snapshot struct {
	Totals
	Statements []Statement // the longest total first
	InProgress []Activity  // the oldest first
	Held       []Holding   // the oldest first
}

// Activity is an operation in which a driver is at work.
type Activity struct {
	*Text
	Since time.Time
}

// Holding is a result set or a transaction that is open.
type Holding struct {
	*Text       // of the query, or of the last statement of the transaction
	Transaction bool
	Since       time.Time
	Idle        time.Duration // of the transaction: how long no operation of it was open
}

// Snapshot returns what the ledger knows now.
func (l *Ledger) Snapshot() Snapshot {
	if l == nil {
		return Snapshot{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return Snapshot{Totals: l.totals, Statements: l.statementsLocked()}
}
