package raftlog

import (
	"slices"
	"sort"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// TermStart says where a term begins in the log: at which index, and which offset was next there.
type TermStart struct {
	Term   uint64
	Index  uint64
	Offset record.Offset
}

// maxWindows is how many older ranges are held for followers that lag behind the cache.
const maxWindows = 4

// Log is the log of one replica in memory. It is not safe for concurrent use; what it hands out is immutable.
type Log struct {
	hard   raftpb.HardState
	conf   raftpb.ConfState
	first  uint64
	last   uint64
	start  state.Entry // the end of an empty log: Index first-1, Last the offset before the log start
	terms  []TermStart // ascending; terms[0] holds first-1
	fresh  bool        // terms changed since TakeTermsChanged
	budget int

	entries []state.Entry  // contiguous, up to last; may be empty right after a start
	raftEnt []raftpb.Entry // the same entries in raft's words
	bytes   int            // of frames in entries
	dead    int            // of frames that were dropped but still hang in the backing array
	applied uint64

	windows []window
	wanted  window

	content func() []byte // what a snapshot of the log's start carries; nil for nothing
}

// window is a range of older entries that was read from the store for a lagging follower.
type window struct {
	lo, hi  uint64
	entries []raftpb.Entry
}

// New makes the log [t.First, t.Last] without entries. terms covers it from First-1 on; next is the offset
// that follows an empty log; budget bounds the bytes of entries kept below the applied one.
func New(t state.Tail, conf raftpb.ConfState, terms []TermStart, next record.Offset, budget int) *Log {
	must(len(terms) > 0 && terms[0].Index <= t.First-1, "no term is known for index %d", t.First-1)
	l := &Log{
		hard: raftpb.HardState{Term: t.Term, Vote: t.Vote, Commit: t.Commit},
		conf: conf, first: t.First, last: t.Last, terms: slices.Clone(terms), budget: budget,
		applied: t.Commit,
	}
	l.start = state.Entry{Index: t.First - 1, Base: next, Last: next - 1, MaxTimestampMs: -1}
	l.start.Term, _ = l.Term(t.First - 1)
	return l
}

// SetContent names the function that makes what a snapshot of the log's start carries. It runs inside raft's
// calls.
func (l *Log) SetContent(content func() []byte) { l.content = content }

// Compact lets the log begin at first, which is not above the applied entry. Terms that end before it are
// forgotten.
func (l *Log) Compact(first uint64) {
	must(first >= l.first && first <= l.applied, "compacting [%d, %d] to %d", l.first, l.applied, first)
	if first == l.first {
		return
	}
	term, err := l.Term(first - 1)
	must(err == nil, "term of %d: %v", first-1, err)
	start := state.Entry{Index: first - 1, Term: term, Base: l.start.Base, Last: l.start.Last, MaxTimestampMs: -1}
	if e, ok := l.At(first - 1); ok {
		start.Base, start.Last = e.Next(), e.Last
		start.AppendTimeMs, start.MaxTimestampMs = e.AppendTimeMs, e.MaxTimestampMs
	}
	l.start, l.first = start, first
	if n := sort.Search(len(l.terms), func(i int) bool { return l.terms[i].Index >= first }); n > 1 {
		l.terms = slices.Clone(l.terms[n-1:])
		l.fresh = true
	}
	n := 0
	for n < len(l.entries) && l.entries[n].Index < first {
		n++
	}
	l.release(n)
	l.windows = slices.DeleteFunc(l.windows, func(w window) bool { return w.lo < first })
	if l.wanted.lo < first {
		l.wanted = window{}
	}
}

// Reset replaces the log by an empty one behind index before, as a snapshot tells it. terms covers before;
// next is the offset that comes next.
func (l *Log) Reset(before uint64, conf raftpb.ConfState, terms []TermStart, next record.Offset) {
	must(before > l.applied, "a snapshot of %d behind the applied %d", before, l.applied)
	must(len(terms) > 0 && terms[0].Index <= before, "no term is known for index %d", before)
	l.first, l.last, l.applied, l.conf = before+1, before, before, conf
	l.terms, l.fresh = slices.Clone(terms), true
	l.entries, l.raftEnt, l.bytes, l.dead = nil, nil, 0, 0
	l.windows, l.wanted = nil, window{}
	l.start = state.Entry{Index: before, Base: next, Last: next - 1, MaxTimestampMs: -1}
	l.start.Term, _ = l.Term(before)
}

// Restore adds entries read at start, in order; the last call ends with the last index of the log. A run may
// begin before what it is to follow.
func (l *Log) Restore(e state.Entry) {
	if n := len(l.entries); n > 0 {
		next := l.entries[n-1].Index + 1
		must(e.Index == next || e.Index < next && e.Through() >= next, "restore %d behind %d", e.Index, next-1)
	}
	if e.Type == state.EntryCompacted {
		l.restoreRun(e)
	} else {
		l.push(e)
	}
	if e.Index < l.applied {
		l.trim()
	}
}

// Append adds entries that are being written; where they overlap the log they replace its tail.
func (l *Log) Append(e state.Entry) {
	if e.Index <= l.last {
		l.truncate(e.Index - 1)
	}
	if e.Index != l.last+1 {
		must(false, "append %d behind %d", e.Index, l.last)
	}
	if e.Term != l.terms[len(l.terms)-1].Term {
		must(e.Term > l.terms[len(l.terms)-1].Term, "term %d behind term %d", e.Term, l.terms[len(l.terms)-1].Term)
		l.terms = append(l.terms, TermStart{Term: e.Term, Index: e.Index, Offset: e.Base})
		l.fresh = true
	}
	l.last = e.Index
	l.push(e)
}

// SetApplied says that entries up to index were applied: from there down they may leave the memory.
func (l *Log) SetApplied(index uint64) {
	if index < l.applied || index > l.last {
		must(false, "applied %d outside [%d, %d]", index, l.applied, l.last)
	}
	l.applied = index
	l.trim()
}

// End is the last entry of the log; of an empty log an entry that only knows index, term and offset.
func (l *Log) End() state.Entry {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1]
	}
	if l.last != l.first-1 {
		must(false, "the last entry %d is not in memory", l.last)
	}
	return l.start
}

// At returns an entry that is in memory, or the end of the empty log for index first-1.
func (l *Log) At(index uint64) (state.Entry, bool) {
	if index == l.first-1 {
		return l.start, true
	}
	if len(l.entries) == 0 || index < l.entries[0].Index || index > l.last {
		return state.Entry{}, false
	}
	return l.entries[index-l.entries[0].Index], true
}

// Tail returns the entries in memory up to and including index. The slice is immutable.
func (l *Log) Tail(index uint64) []state.Entry {
	if len(l.entries) == 0 || index < l.entries[0].Index {
		return nil
	}
	n := min(int(index-l.entries[0].Index)+1, len(l.entries))
	return l.entries[:n:n]
}

// Terms returns where each term starts. The slice is immutable.
func (l *Log) Terms() []TermStart { return l.terms[:len(l.terms):len(l.terms)] }

// TakeTermsChanged reports, once, whether Terms changed since the last call.
func (l *Log) TakeTermsChanged() bool {
	changed := l.fresh
	l.fresh = false
	return changed
}

// Bytes is the size of the frames in memory.
func (l *Log) Bytes() int { return l.bytes }

// Wanted returns the range [lo, hi) that raft missed since the last AddWindow, if any.
func (l *Log) Wanted() (lo, hi uint64, ok bool) {
	return l.wanted.lo, l.wanted.hi, l.wanted.hi > l.wanted.lo
}

// AddWindow takes entries that were read from index lo on for Wanted; the next attempt of raft finds them,
// runs entry by entry. None at all only forgets the wish, so that raft's next attempt asks again.
func (l *Log) AddWindow(lo uint64, entries []state.Entry) {
	l.wanted = window{}
	if len(entries) == 0 || lo < l.first {
		return
	}
	w := window{lo: max(lo, entries[0].Index), entries: make([]raftpb.Entry, 0, len(entries))}
	for room := maxExpanded; len(entries) > 0 && l.expand(&w, entries[0], lo, room); entries = entries[1:] {
		room = maxExpanded - min(len(w.entries), maxExpanded)
	}
	if len(w.entries) == 0 {
		return
	}
	w.hi = w.lo + uint64(len(w.entries))
	if len(l.windows) == maxWindows {
		l.windows = slices.Delete(l.windows, 0, 1)
	}
	l.windows = append(l.windows, w)
}

func (l *Log) push(e state.Entry) {
	l.entries = append(l.entries, e)
	l.raftEnt = append(l.raftEnt, ToRaft(e))
	l.bytes += len(e.Frame)
}

// truncate keeps [first, last]. Slices that were handed out must stay whole, so what is appended next goes to
// a new array: the capacity is cut.
func (l *Log) truncate(last uint64) {
	must(last >= l.applied, "truncating to %d below the applied %d", last, l.applied)
	if len(l.entries) > 0 {
		base := l.entries[0].Index
		must(last+1 >= base, "truncating to %d below the cached %d", last, base)
		n := int(last + 1 - base)
		for _, e := range l.entries[n:] {
			l.bytes -= len(e.Frame)
		}
		l.entries = l.entries[:n:n]
		l.raftEnt = l.raftEnt[:n:n]
	}
	l.last = last
	n := sort.Search(len(l.terms), func(i int) bool { return l.terms[i].Index > last })
	if n < len(l.terms) {
		l.terms = l.terms[:n:n]
		l.fresh = true
	}
	l.windows = nil
}

// trim lets go of entries below the applied one while the budget is exceeded.
func (l *Log) trim() {
	n, left := 0, l.bytes
	for n < len(l.entries) && left > l.budget && l.entries[n].Index < l.applied {
		left -= len(l.entries[n].Frame)
		n++
	}
	l.release(n)
}

// release lets go of the first n entries in memory.
func (l *Log) release(n int) {
	if n == 0 {
		return
	}
	for _, e := range l.entries[:n] {
		l.bytes -= len(e.Frame)
		l.dead += len(e.Frame)
	}
	l.entries = l.entries[n:]
	l.raftEnt = l.raftEnt[n:]
	if l.dead > l.budget/2 {
		// Readers may still hold the old array, so its dead entries can't be cleared: leave it to them.
		l.entries = slices.Clone(l.entries)
		l.raftEnt = slices.Clone(l.raftEnt)
		l.dead = 0
	}
}

// InitialState implements raft.Storage.
func (l *Log) InitialState() (raftpb.HardState, raftpb.ConfState, error) { return l.hard, l.conf, nil }

// FirstIndex implements raft.Storage.
func (l *Log) FirstIndex() (uint64, error) { return l.first, nil }

// LastIndex implements raft.Storage.
func (l *Log) LastIndex() (uint64, error) { return l.last, nil }

// Term implements raft.Storage. It knows the term of every index of [first-1, last].
func (l *Log) Term(i uint64) (uint64, error) {
	if i+1 < l.first {
		return 0, raft.ErrCompacted
	}
	if i > l.last {
		return 0, raft.ErrUnavailable
	}
	for n := len(l.terms) - 1; n >= 0; n-- {
		if l.terms[n].Index <= i {
			return l.terms[n].Term, nil
		}
	}
	must(false, "no term is known for index %d", i)
	return 0, nil
}

// Entries implements raft.Storage. A range that is not in memory is noted for Wanted and answered with
// raft.ErrCompacted; Snapshot then says "later", so raft sends nothing and tries again.
func (l *Log) Entries(lo, hi, maxSize uint64) ([]raftpb.Entry, error) {
	if lo < l.first {
		return nil, raft.ErrCompacted
	}
	if hi > l.last+1 {
		must(false, "entries [%d, %d) behind the last %d", lo, hi, l.last)
	}
	base := l.last + 1
	if len(l.entries) > 0 {
		base = l.entries[0].Index
	}
	if lo >= base {
		return limit(l.raftEnt[lo-base:hi-base], maxSize), nil
	}
	for i := range l.windows {
		if w := &l.windows[i]; lo >= w.lo && lo < w.hi {
			return limit(w.entries[lo-w.lo:min(hi, w.hi)-w.lo], maxSize), nil
		}
	}
	l.wanted = window{lo: lo, hi: min(hi, base)}
	return nil, raft.ErrCompacted
}

// Snapshot implements raft.Storage: the start of the log with what SetContent says, and no record. While an
// older range is being read it says raft.ErrSnapshotTemporarilyUnavailable.
func (l *Log) Snapshot() (raftpb.Snapshot, error) {
	if _, _, ok := l.Wanted(); ok {
		return raftpb.Snapshot{}, raft.ErrSnapshotTemporarilyUnavailable
	}
	s := raftpb.Snapshot{Metadata: raftpb.SnapshotMetadata{
		Index: l.start.Index, Term: l.start.Term, ConfState: l.conf,
	}}
	if l.content != nil {
		s.Data = l.content()
	}
	return s, nil
}

// limit cuts entries so that their encoded size stays below maxSize, keeping at least one.
func limit(entries []raftpb.Entry, maxSize uint64) []raftpb.Entry {
	var size uint64
	for i := range entries {
		size += uint64(entries[i].Size())
		if i > 0 && size > maxSize {
			return entries[:i:i]
		}
	}
	return entries[:len(entries):len(entries)]
}

// ToRaft gives an entry in raft's words. An entry without payload is raft's own empty one: raft carries no
// bytes for it, and every replica makes the same frame for it.
func ToRaft(e state.Entry) raftpb.Entry {
	r := raftpb.Entry{Type: raftpb.EntryNormal, Index: e.Index, Term: e.Term}
	if len(e.Frame) > state.FrameRoom {
		r.Data = e.Frame
	}
	return r
}

// FromRaft opens an entry that raft wants stored behind prev. Its frame is verified; raft's own empty entry
// gets a frame that follows from prev alone, and so do the entries of a run. Errors: fault.CorruptRecord.
func FromRaft(r raftpb.Entry, prev state.Entry) (state.Entry, error) {
	if len(r.Data) > 0 {
		e, err := state.OpenFrame(r.Data)
		if err == nil && e.Type == state.EntryCompacted {
			e = Follow(e, prev)
		}
		return e, err
	}
	e := state.Entry{
		Index: r.Index, Term: r.Term, Type: state.EntryControl, Base: prev.Next(), Last: prev.Last,
		AppendTimeMs: prev.AppendTimeMs, MaxTimestampMs: prev.MaxTimestampMs, Frame: make([]byte, state.FrameRoom),
	}
	e.Seal()
	return e, nil
}
