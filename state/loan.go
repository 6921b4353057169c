package state

import (
	"slices"

	"github.com/millstream-io/millstream/proto/record"
)

// Lender is a LogStore that can lend what it has in memory instead of copying it.
type Lender interface {
	LogStore

	// Lend appends entries [lo, hi) to dst, verified. Their frames may be the store's own memory: they are
	// read-only, and valid until loan is given back. It returns one entry at least, and further ones only while all
	// frames together have maxBytes; where it returns fewer than asked without an error, the next one is too large.
	// Runs of compacted entries and errors are as with Entries; with an error the entries before are returned. It
	// blocks on the disk.
	Lend(r record.ReplicaID, lo, hi uint64, maxBytes int, dst []Entry, loan *Loan) ([]Entry, error)
}

// Hold is memory of a store that somebody else looks at.
type Hold interface {
	// Release gives the memory back. A Loan calls it once. It does not block and may be called after the store was
	// closed.
	Release()
}

// Loan is what its owner has borrowed of a store. The owner gives it back, once, when nobody looks at the memory any
// more; until then it counts in the store's budget. It may be handed on, but has one owner at a time, and is not safe
// for concurrent use. The zero Loan is empty.
type Loan struct{ holds []Hold }

// Add takes a hold into the loan, unless it has it, and reports whether it did. It is called by the store.
func (l *Loan) Add(h Hold) bool {
	if slices.Contains(l.holds, h) {
		return false
	}
	l.holds = append(l.holds, h)
	return true
}

// Holds is what has been added and not given back, oldest first. It is valid until the next call of another method.
func (l *Loan) Holds() []Hold { return l.holds }

// Release gives everything back. The loan is empty then and may be used again.
func (l *Loan) Release() {
	for _, h := range l.holds {
		h.Release()
	}
	clear(l.holds)
	l.holds = l.holds[:0]
}
