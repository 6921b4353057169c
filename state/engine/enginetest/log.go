package enginetest

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Log is a model of one replica's log. Its methods change the model and return the write that does the same
// to a store.
type Log struct {
	ID    record.ReplicaID  // of the replica
	Class state.Class       // where it is written
	By    state.Incarnation // who writes

	Tail    state.Tail             // as it is after the writes so far
	Rows    map[uint8][]byte       // carried rows by kind
	Entries map[uint64]state.Entry // by index: those of the log and no others, as compaction left them

	// Dropped are entries, as they once were, in whose place runs stand. They stay when the log begins behind
	// them: a run may reach over its beginning.
	Dropped map[uint64]state.Entry
	cut     map[uint64]bool // ends of runs that were cut there
}

// NewLog returns the empty log of a replica.
func NewLog(id record.ReplicaID, c state.Class) *Log {
	return &Log{
		ID: id, Class: c, Tail: state.Tail{First: 1},
		Rows: map[uint8][]byte{}, Entries: map[uint64]state.Entry{},
		Dropped: map[uint64]state.Entry{}, cut: map[uint64]bool{},
	}
}

// Shape says what an entry of the model looks like.
type Shape struct {
	Bytes   int   // of payload
	Offsets int64 // records in it; 0 makes a control entry
	TimeMs  int64 // how much newer its newest record is than all before; may be negative
}

// Append adds entries of a term behind the log's end.
func (l *Log) Append(term uint64, shapes ...Shape) state.Write {
	return l.Overwrite(l.Tail.Last, term, shapes...)
}

// Overwrite cuts the log behind index last and adds entries of a new term there.
func (l *Log) Overwrite(last, term uint64, shapes ...Shape) state.Write {
	l.truncate(last)
	var es []state.Entry
	for _, s := range shapes {
		es = append(es, l.add(term, s))
	}
	l.Tail.Term = max(l.Tail.Term, term)
	return l.write(es, nil)
}

// AppendRun adds a run of n entries of a term of which nothing is left, as a follower gets it.
func (l *Log) AppendRun(term uint64, n int) state.Write {
	return l.OverwriteRun(l.Tail.Last, term, n)
}

// OverwriteRun cuts the log behind index last and adds such a run there.
func (l *Log) OverwriteRun(last, term uint64, n int) state.Write {
	l.truncate(last)
	first := last + 1
	for range n {
		e := l.add(term, Shape{Bytes: 10, Offsets: 2, TimeMs: 1})
		delete(l.Entries, e.Index)
		l.Dropped[e.Index] = e
	}
	l.Tail.Term = max(l.Tail.Term, term)
	return l.write([]state.Entry{state.Compacted(l.Dropped[first], l.Dropped[l.Tail.Last])}, nil)
}

// truncate cuts the log behind index last.
func (l *Log) truncate(last uint64) {
	behind := func(i uint64, _ state.Entry) bool { return i > last }
	_, in := l.Dropped[last]
	_, on := l.Dropped[last+1]
	maps.DeleteFunc(l.Entries, behind)
	maps.DeleteFunc(l.Dropped, behind)
	maps.DeleteFunc(l.cut, func(i uint64, _ bool) bool { return i > last })
	if in && on {
		l.cut[last] = true
	}
	l.Tail.Last, l.Tail.LastTerm = last, l.item(last).Term
}

// item is the entry with an index as it once was, or as compaction left it.
func (l *Log) item(i uint64) state.Entry {
	if e, ok := l.Entries[i]; ok {
		return e
	}
	return l.Dropped[i]
}

// Carry replaces the carried row of a kind.
func (l *Log) Carry(kind uint8, value []byte) state.Write {
	l.Rows[kind] = value
	return l.write(nil, []state.Row{{Kind: kind, Value: value}})
}

// Commit moves the commit index, which needs no sync of its own.
func (l *Log) Commit(index uint64) state.Write {
	l.Tail.Commit = index
	w := l.write(nil, nil)
	w.Sync = false
	return w
}

// Trim moves the start of the log to index first.
func (l *Log) Trim(first uint64) state.Write {
	maps.DeleteFunc(l.Entries, func(i uint64, _ state.Entry) bool { return i < first })
	l.Tail.First = first
	return l.write(nil, nil)
}

// Reset begins an empty log at index first, as a snapshot does.
func (l *Log) Reset(first, term uint64) state.Write {
	clear(l.Entries)
	clear(l.Dropped)
	clear(l.cut)
	l.Tail.First, l.Tail.Last, l.Tail.LastTerm = first, first-1, term
	return l.write(nil, nil)
}

func (l *Log) write(es []state.Entry, rows []state.Row) state.Write {
	return state.Write{Replica: l.ID, By: l.By, Tail: l.Tail, Entries: es, Carried: rows, Sync: true}
}

// add makes the next entry. Its payload tells replica, index and term apart, so that no two entries are
// alike.
func (l *Log) add(term uint64, s Shape) state.Entry {
	prev := l.item(l.Tail.Last)
	if l.Tail.Last < l.Tail.First {
		prev = state.Entry{Last: -1}
	}
	e := state.Entry{
		Index: l.Tail.Last + 1, Term: term, Type: state.EntryRecords,
		Base: prev.Next(), Last: prev.Last + record.Offset(s.Offsets),
		AppendTimeMs:   prev.AppendTimeMs + 1,
		MaxTimestampMs: max(prev.MaxTimestampMs, prev.MaxTimestampMs+s.TimeMs),
		Frame:          make([]byte, state.FrameRoom+s.Bytes),
	}
	if s.Offsets == 0 {
		e.Type = state.EntryControl
	}
	mark := binary.BigEndian.AppendUint64(nil, uint64(l.ID))
	mark = binary.BigEndian.AppendUint64(mark, e.Index<<16|term)
	for p := e.Payload(); len(p) > 0; {
		p = p[copy(p, mark):]
	}
	e.Seal()
	l.Entries[e.Index] = e
	l.Tail.Last, l.Tail.LastTerm = e.Index, term
	return e
}

// Clone returns a copy that can be changed apart.
func (l *Log) Clone() *Log {
	c := *l
	c.Rows, c.Entries = maps.Clone(l.Rows), maps.Clone(l.Entries)
	c.Dropped, c.cut = maps.Clone(l.Dropped), maps.Clone(l.cut)
	return &c
}

// kinds returns the kinds of the carried rows in order.
func (l *Log) kinds() []uint8 { return slices.Sorted(maps.Keys(l.Rows)) }
