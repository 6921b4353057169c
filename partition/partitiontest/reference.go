package partitiontest

import (
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// place is one place in the log, which one leader filled.
type place struct{ index, term uint64 }

// made is a record as a leader put it into the log, and when.
type made struct {
	seen
	appendMs int64
}

// wrote notes an entry that a replica wants written. The first that is seen of a place is as its leader made
// it: compaction comes after the commit.
func (h *History) wrote(e state.Entry) {
	at := place{e.Index, e.Term}
	if _, known := h.made[at]; known || e.Type != state.EntryRecords || segment.Emptied(e.Payload()) {
		return
	}
	records, _, err := decode([][]byte{e.Payload()}, e.Base)
	if err != nil {
		h.fail("P4", "a leader of term %d made an entry that can't be read: %v", e.Term, err)
	}
	for _, r := range records {
		h.made[at] = append(h.made[at], made{r, e.AppendTimeMs})
	}
}

// committed notes the term at an index that some replica knows to be committed. P1: there is one.
func (h *History) committed(by record.ReplicaID, index, term uint64) {
	if t, ok := h.terms[index]; ok && t != term {
		h.fail("P1", "host %d committed entry %d of term %d, another that of term %d", by, index, term, t)
	}
	h.terms[index] = term
	h.known = max(h.known, index)
}

// assemble puts the log together as it would be without retention and compaction.
func (h *History) assemble() {
	for i := uint64(0); i <= h.known; i++ {
		if t, ok := h.terms[i]; ok {
			h.whole = append(h.whole, h.made[place{i, t}]...)
		}
	}
}

// note tells the history of what is written and committed.
func (h *host) note(w state.Write) {
	if !h.c.o.Compact {
		return
	}
	for _, e := range w.Entries {
		h.c.history.wrote(e)
		for i := e.Index; i <= e.Through(); i++ {
			h.terms[i] = e.Term
		}
		if e.Type == state.EntryCompacted {
			h.c.reached["run-received"]++
		}
	}
	h.committed = max(h.committed, w.Tail.First-1) // begun anew behind there: it never knew them
	for ; h.committed < w.Tail.Commit; h.committed++ {
		if t, ok := h.terms[h.committed+1]; ok {
			h.c.history.committed(h.id, h.committed+1, t)
		}
	}
}

// recall forgets what a crash took and what is there instead.
func (h *host) recall(tail state.Tail) {
	if !h.c.o.Compact {
		return
	}
	for i := range h.terms {
		if i > h.committed {
			delete(h.terms, i)
		}
	}
	for at := max(tail.First, h.committed+1); at <= tail.Last; {
		entries, err := h.store.Entries(h.id, at, tail.Last+1, 1<<20, nil)
		if err != nil {
			return // the replay says so
		}
		for _, e := range entries {
			for ; at <= e.Through(); at++ {
				h.terms[at] = e.Term
			}
		}
	}
}
