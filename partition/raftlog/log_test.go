package raftlog

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// sealed makes an entry of n payload bytes that holds one offset.
func sealed(index, term uint64, n int) state.Entry {
	e := state.Entry{
		Index: index, Term: term, Type: state.EntryRecords, Base: record.Offset(index), Last: record.Offset(index),
		Frame: make([]byte, state.FrameRoom+n),
	}
	e.Seal()
	return e
}

// newLog makes a log of the given terms from index 2 on, all applied below commit.
func newLog(budget int, terms ...uint64) *Log {
	l := New(state.Tail{First: 2, Last: 1, LastTerm: 1, Term: 1, Commit: 1}, raftpb.ConfState{Voters: []uint64{1}},
		[]TermStart{{Term: 1, Index: 1}}, 0, budget)
	for i, t := range terms {
		l.Append(sealed(uint64(i)+2, t, 100))
	}
	return l
}

func indexes(entries []raftpb.Entry) (all []uint64) {
	for _, e := range entries {
		all = append(all, e.Index)
	}
	return all
}

// Goal: what raft is told about the bounds and terms of a log. Method: a log of three terms, asked index by
// index.
func TestTerms(t *testing.T) {
	l := newLog(1<<20, 2, 2, 5, 5, 6)
	for i, want := range []uint64{1: 1, 2: 2, 3: 2, 4: 5, 5: 5, 6: 6} {
		got, err := l.Term(uint64(i))
		if i == 0 {
			if !errors.Is(err, raft.ErrCompacted) {
				t.Errorf("term of 0: %v", err)
			}
		} else if got != want || err != nil {
			t.Errorf("term of %d is %d, %v; want %d", i, got, err, want)
		}
	}
	if _, err := l.Term(7); !errors.Is(err, raft.ErrUnavailable) {
		t.Errorf("term behind the log: %v", err)
	}
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	if first != 2 || last != 6 || l.End().Term != 6 {
		t.Errorf("[%d, %d], end %+v", first, last, l.End())
	}
}

// Goal: a replaced tail leaves no term behind and does not touch what was handed out. Method: hand out,
// append over it, compare.
func TestTruncate(t *testing.T) {
	l := newLog(1<<20, 2, 2, 3, 3)
	before, err := l.Entries(2, 6, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	tail := l.Tail(5)
	l.TakeTermsChanged()
	l.Append(sealed(4, 7, 10))
	l.Append(sealed(5, 7, 10))
	l.Append(sealed(6, 7, 10))
	if !slices.Equal(indexes(before), []uint64{2, 3, 4, 5}) || before[2].Term != 3 || tail[2].Term != 3 {
		t.Errorf("what was handed out changed: %v, term %d", indexes(before), before[2].Term)
	}
	if !l.TakeTermsChanged() || l.TakeTermsChanged() {
		t.Error("the change of terms is not told once")
	}
	want := []TermStart{{1, 1, 0}, {2, 2, 2}, {7, 4, 4}}
	if !slices.Equal(l.Terms(), want) {
		t.Errorf("terms %v, want %v", l.Terms(), want)
	}
	if l.Bytes() != 2*(state.FrameRoom+100)+3*(state.FrameRoom+10) {
		t.Errorf("%d bytes counted", l.Bytes())
	}
}

// Goal: the budget holds below the applied entry and never above. Method: apply step by step under a tiny
// budget.
func TestTrim(t *testing.T) {
	l := newLog(200, 2, 2, 2, 2, 2, 2)
	if _, err := l.Entries(2, 8, 1<<20); err != nil {
		t.Fatalf("what is not applied must be in memory: %v", err)
	}
	held := l.Tail(7)
	l.SetApplied(6)
	if e, ok := l.At(5); ok {
		t.Errorf("entry %d is still in memory", e.Index)
	}
	for i := uint64(6); i <= 7; i++ {
		if _, ok := l.At(i); !ok {
			t.Errorf("entry %d is gone", i)
		}
	}
	if held[0].Index != 2 || len(held[0].Frame) == 0 {
		t.Error("what was handed out changed")
	}
}

// Goal: an older range is asked for once, and answered from what was loaded. Method: miss, look at Wanted,
// load part of it, ask again; then one that belongs to another term.
func TestWindow(t *testing.T) {
	l := newLog(0, 2, 2, 2, 2, 2, 2)
	l.SetApplied(7)
	if _, err := l.Entries(3, 8, 1<<20); !errors.Is(err, raft.ErrCompacted) {
		t.Fatalf("an entry that is not in memory: %v", err)
	}
	if lo, hi, ok := l.Wanted(); lo != 3 || hi != 7 || !ok {
		t.Errorf("wanted [%d, %d) %v", lo, hi, ok)
	}
	if _, err := l.Snapshot(); !errors.Is(err, raft.ErrSnapshotTemporarilyUnavailable) {
		t.Errorf("a snapshot while a range is wanted: %v", err)
	}
	l.AddWindow(3, []state.Entry{sealed(3, 2, 100), sealed(4, 2, 100), sealed(5, 2, 100)})
	if got, err := l.Entries(3, 8, 1<<20); err != nil || !slices.Equal(indexes(got), []uint64{3, 4, 5}) {
		t.Errorf("got %v, %v", indexes(got), err)
	}
	if got, err := l.Entries(4, 8, 1); err != nil || !slices.Equal(indexes(got), []uint64{4}) {
		t.Errorf("limited: got %v, %v", indexes(got), err)
	}
	if _, _, ok := l.Wanted(); ok {
		t.Error("still wanted")
	}
	if s, err := l.Snapshot(); err != nil || s.Metadata.Index != 1 || s.Metadata.Term != 1 || len(s.Metadata.ConfState.Voters) != 1 {
		t.Errorf("log-start snapshot %+v, %v", s, err)
	}
	if _, err := l.Entries(1, 3, 1<<20); !errors.Is(err, raft.ErrCompacted) {
		t.Errorf("below the log: %v", err)
	}
	if _, err := l.Entries(6, 8, 1<<20); !errors.Is(err, raft.ErrCompacted) {
		t.Fatal(err)
	}
	l.AddWindow(6, []state.Entry{sealed(6, 9, 100)})
	if _, err := l.Entries(6, 8, 1<<20); !errors.Is(err, raft.ErrCompacted) {
		t.Error("an entry of another term was served")
	}
	l.AddWindow(0, nil)
	if _, _, ok := l.Wanted(); ok {
		t.Error("a failed read leaves a wish behind")
	}
}

// Goal: raft's own empty entry gets the same frame everywhere, and others are verified. Method: there and
// back.
func TestFromRaft(t *testing.T) {
	prev := sealed(4, 2, 10)
	prev.AppendTimeMs, prev.MaxTimestampMs = 50, 60
	a, err := FromRaft(raftpb.Entry{Index: 5, Term: 3}, prev)
	if err != nil || a.Base != prev.Next() || a.Next() != prev.Next() || a.AppendTimeMs != 50 || a.MaxTimestampMs != 60 {
		t.Fatalf("%+v, %v", a, err)
	}
	b, _ := FromRaft(raftpb.Entry{Index: 5, Term: 3}, prev)
	if !bytes.Equal(a.Frame, b.Frame) || ToRaft(a).Data != nil {
		t.Error("the empty entry is not the same everywhere")
	}
	e := sealed(6, 3, 10)
	if got, err := FromRaft(ToRaft(e), a); err != nil || got.Index != 6 || len(got.Payload()) != 10 {
		t.Errorf("%+v, %v", got, err)
	}
	e.Frame[state.FrameRoom] ^= 1
	if _, err := FromRaft(ToRaft(e), a); !errors.Is(err, fault.CorruptRecord) {
		t.Errorf("a flipped bit: %v", err)
	}
}

// Goal: a log that is opened again ends where it ended. Method: restore the last entries only.
func TestRestore(t *testing.T) {
	l := New(state.Tail{First: 2, Last: 9, LastTerm: 4, Term: 4, Commit: 7}, raftpb.ConfState{},
		[]TermStart{{1, 1, 0}, {4, 5, 5}}, 0, 1<<20)
	for i := uint64(7); i <= 9; i++ {
		l.Restore(sealed(i, 4, 10))
	}
	if l.End().Index != 9 {
		t.Errorf("end %+v", l.End())
	}
	if _, err := l.Entries(8, 10, 1<<20); err != nil {
		t.Error(err)
	}
	hard, _, _ := l.InitialState()
	if hard.Commit != 7 || hard.Term != 4 {
		t.Errorf("hard state %+v", hard)
	}
}

// FuzzDecodeTerms: any bytes are either refused or a table that encodes to the same bytes.
func FuzzDecodeTerms(f *testing.F) {
	f.Add(EncodeTerms([]TermStart{{1, 1, 0}}))
	f.Add(EncodeTerms([]TermStart{{1, 1, 0}, {2, 2, 0}, {9, 100, 77}}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		terms, err := DecodeTerms(b)
		if err != nil {
			if !errors.Is(err, fault.CorruptRecord) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if !bytes.Equal(EncodeTerms(terms), b) {
			t.Errorf("%v does not encode to %x", terms, b)
		}
	})
}

// Goal: a log that lost its beginning knows the terms of the rest and nothing before, and slices that were
// handed out stay whole. Method: compact a log of three terms inside the second, and once more to its applied
// end.
func TestCompact(t *testing.T) {
	l := newLog(1<<20, 2, 2, 5, 5, 6)
	l.SetApplied(5)
	l.TakeTermsChanged()
	tail := l.Tail(6)
	l.Compact(4)
	first, _ := l.FirstIndex()
	if term, err := l.Term(3); first != 4 || term != 2 || err != nil {
		t.Errorf("first %d, term of 3 is %d, %v", first, term, err)
	}
	if _, err := l.Term(2); !errors.Is(err, raft.ErrCompacted) {
		t.Errorf("term of 2: %v", err)
	}
	if _, err := l.Entries(3, 5, 1<<20); !errors.Is(err, raft.ErrCompacted) {
		t.Errorf("entry 3: %v", err)
	}
	if _, _, ok := l.Wanted(); ok {
		t.Error("an entry that was given up is wanted")
	}
	if got := l.Terms(); len(got) != 3 || got[0].Term != 2 || !l.TakeTermsChanged() {
		t.Errorf("terms %+v", got)
	}
	if e, ok := l.At(3); !ok || e.Index != 3 || e.Term != 2 || e.Last != 3 {
		t.Errorf("the entry before the log is %+v, %v", e, ok)
	}
	l.Compact(5)
	if got := l.Terms(); len(got) != 2 || got[0].Term != 5 || l.Bytes() != 2*(state.FrameRoom+100) {
		t.Errorf("terms %+v, %d bytes", got, l.Bytes())
	}
	if len(tail) != 5 || tail[0].Index != 2 {
		t.Errorf("what was handed out is now %+v", tail)
	}
	if got := l.Tail(6); len(got) != 2 || got[0].Index != 5 {
		t.Errorf("the tail is %+v", got)
	}
}

// Goal: a read for a follower that was under way when the beginning went does no harm. Method: want old
// entries, compact, then add what was read.
func TestCompactUnderRead(t *testing.T) {
	l := newLog(0, 2, 2, 2, 2, 2)
	old := []state.Entry{sealed(2, 2, 100), sealed(3, 2, 100)}
	l.SetApplied(6)
	if _, err := l.Entries(2, 4, 1<<20); !errors.Is(err, raft.ErrCompacted) {
		t.Fatal(err)
	}
	if _, err := l.Snapshot(); !errors.Is(err, raft.ErrSnapshotTemporarilyUnavailable) {
		t.Errorf("a snapshot while entries are read: %v", err)
	}
	l.Compact(4)
	l.AddWindow(old[0].Index, old)
	l.SetContent(func() []byte { return []byte("content") })
	s, err := l.Snapshot()
	if err != nil || s.Metadata.Index != 3 || s.Metadata.Term != 2 || string(s.Data) != "content" {
		t.Errorf("snapshot %+v, %v", s, err)
	}
}

// Goal: a log that begins anew holds nothing of the old one and goes on behind the snapshot. Method: reset,
// then append.
func TestReset(t *testing.T) {
	l := newLog(1<<20, 2, 2, 2)
	l.Reset(9, raftpb.ConfState{Voters: []uint64{1, 2}}, []TermStart{{Term: 1, Index: 1}, {Term: 4, Index: 7, Offset: 5}}, 8)
	if e := l.End(); e.Index != 9 || e.Term != 4 || e.Next() != 8 || l.Bytes() != 0 || !l.TakeTermsChanged() {
		t.Errorf("the end is %+v with %d bytes", e, l.Bytes())
	}
	if _, err := l.Term(8); !errors.Is(err, raft.ErrCompacted) {
		t.Errorf("term of 8: %v", err)
	}
	l.Append(sealed(10, 4, 10))
	l.Append(sealed(11, 5, 10))
	l.SetApplied(11)
	s, err := l.Snapshot()
	if err != nil || s.Metadata.Index != 9 || len(s.Metadata.ConfState.Voters) != 2 {
		t.Errorf("snapshot %+v, %v", s, err)
	}
	if got, err := l.Entries(10, 12, 1<<20); err != nil || !slices.Equal(indexes(got), []uint64{10, 11}) {
		t.Errorf("entries %v, %v", indexes(got), err)
	}
}
