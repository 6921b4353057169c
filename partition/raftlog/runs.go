package raftlog

import (
	"slices"

	"github.com/millstream-io/millstream/state"
)

// maxExpanded is how many entries of runs one window gives to raft: a run may stand for millions.
const maxExpanded = 16 << 10

// bare is the frame in memory of an entry that only fills the place of one that is gone. Such a frame is
// never written: its replica holds a run instead.
var bare = make([]byte, state.FrameRoom)

// unrolled is entry i of those that run e stands for. All take no offsets but the last, which keeps them.
func unrolled(e state.Entry, i uint64) state.Entry {
	if e.Type != state.EntryCompacted || e.Index == e.Through() {
		return e
	}
	one := state.Entry{
		Index: i, Term: e.Term, Type: state.EntryControl, Base: e.Base, Last: e.Base - 1,
		AppendTimeMs: e.AppendTimeMs, MaxTimestampMs: e.MaxTimestampMs, Frame: bare,
	}
	if i == e.Through() {
		return state.Compacted(one, e)
	}
	return one
}

// restoreRun adds the run e: of what was applied only its end, the rest entry by entry.
func (l *Log) restoreRun(e state.Entry) {
	from, through := max(e.Index, l.first), e.Through()
	if n := len(l.entries); n > 0 {
		from = l.entries[n-1].Index + 1
	}
	if low := min(l.applied, through); from < low {
		l.entries, l.raftEnt, l.bytes, l.dead = nil, nil, 0, 0 // all of it lies below the applied entry
		from = low
	}
	for i := from; i <= through; i++ {
		l.push(unrolled(e, i))
	}
}

// expand adds what e stands for to a window, from lo on and with at most room entries. whole is false where
// the log holds other terms by now, or room was too small.
func (l *Log) expand(w *window, e state.Entry, lo uint64, room int) (whole bool) {
	through := e.Through()
	if t, err := l.Term(through); err != nil || t != e.Term {
		return false // the log was cut and rewritten while the store was read
	}
	if t, err := l.Term(max(lo, e.Index)); err != nil || t != e.Term {
		return false
	}
	for i := max(lo, e.Index); i <= through; i++ {
		if e.Type == state.EntryCompacted && room == 0 {
			return false
		}
		w.entries = append(w.entries, ToRaft(unrolled(e, i)))
		room--
	}
	return true
}

// Follow is what a replica writes for the end of a run that another one sent, e, behind prev: the same, with
// the offsets that prev leaves to it. All of what the run stands for came before it as entries that took
// none, or as entries that are still there.
func Follow(e, prev state.Entry) state.Entry {
	first, last := e, e
	first.Base, last.Last = prev.Next(), max(e.Last, prev.Last)
	last.AppendTimeMs = max(e.AppendTimeMs, prev.AppendTimeMs)
	last.MaxTimestampMs = max(e.MaxTimestampMs, prev.MaxTimestampMs)
	return state.Compacted(first, last)
}

// Roll puts neighbours of one term of which nothing is left together into runs, for the store: what a leader
// sends of a run are single entries. The result shares what stays with entries.
//
// Invariant: of two such neighbours the second at least was committed where it came from. So no run is ever
// truncated in its middle: a leader's own empty entry is the first of its term.
func Roll(entries []state.Entry) []state.Entry {
	at := 0
	for at+1 < len(entries) && !joins(entries[at], entries[at+1]) {
		at++
	}
	if at+1 >= len(entries) {
		return entries
	}
	out := slices.Clone(entries[:at])
	for i := at; i < len(entries); {
		n := i + 1
		for n < len(entries) && joins(entries[n-1], entries[n]) {
			n++
		}
		if n > i+1 {
			out = append(out, state.Compacted(entries[i], entries[n-1]))
		} else {
			out = append(out, entries[i])
		}
		i = n
	}
	return out
}

func joins(e, next state.Entry) bool { return e.Term == next.Term && nothing(e) && nothing(next) }

// nothing reports whether an entry has no content.
func nothing(e state.Entry) bool {
	return e.Type == state.EntryCompacted || e.Type == state.EntryControl && len(e.Frame) == state.FrameRoom
}
