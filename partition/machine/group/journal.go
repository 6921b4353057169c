package group

import "time"

// journalEntries is how many lines of its journal a group keeps, and journalText how long one may be.
const (
	journalEntries = 32
	journalText    = 400
)

// Entry is a line of a group's journal: what happened to its membership, and why.
type Entry struct {
	At         time.Time
	Generation int32
	Member     string // who caused it, empty for nobody
	What       string
}

// journal is a ring of the newest entries.
type journal struct {
	ring []Entry
	next int
}

// cut bounds what an entry quotes.
func cut(e Entry) Entry {
	if len(e.What) > journalText {
		e.What = e.What[:journalText] + "…"
	}
	if len(e.Member) > journalText {
		e.Member = e.Member[:journalText] + "…"
	}
	return e
}

func (j *journal) add(e Entry) {
	if len(j.ring) < journalEntries {
		j.ring = append(j.ring, e)
		return
	}
	j.ring[j.next] = e
	j.next = (j.next + 1) % journalEntries
}

// list returns the entries, oldest first.
func (j *journal) list() []Entry {
	return append(append([]Entry(nil), j.ring[j.next:]...), j.ring[:j.next]...)
}
