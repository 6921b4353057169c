package raftlog

import (
	"slices"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// compacted is a run of a term over indexes and offsets [first, last].
func compacted(index, through, term uint64, base, last record.Offset) state.Entry {
	a := state.Entry{Index: index, Term: term, Base: base}
	b := state.Entry{Index: through, Last: last, AppendTimeMs: 70, MaxTimestampMs: 80, Frame: make([]byte, state.FrameRoom)}
	return state.Compacted(a, b)
}

// reopened is a log [2, last] of terms, nothing of which is in memory.
func reopened(last, commit uint64, terms ...TermStart) *Log {
	t := terms[len(terms)-1].Term
	tail := state.Tail{First: 2, Last: last, LastTerm: t, Term: t, Commit: commit}
	return New(tail, raftpb.ConfState{Voters: []uint64{1}}, terms, 0, 1<<20)
}

// Goal: a replay over runs leaves in memory what raft may ask for, however long they are: of a run that was
// applied its end, of one that reaches behind the commit every entry from the applied one on. Method: logs
// with a run of a million entries in front of, around and behind the commit, and one that is read from its
// middle.
func TestRestoreRuns(t *testing.T) {
	terms := []TermStart{{Term: 1, Index: 1}, {Term: 2, Index: 2}}
	long := compacted(2, 1_000_001, 2, 0, 500)
	for _, c := range []struct {
		name           string
		commit         uint64
		run            state.Entry
		rest           []state.Entry
		first, last    uint64 // in memory
		base, runsLast record.Offset
	}{
		{"applied", 1_000_003, long, []state.Entry{sealed(1_000_002, 2, 9), sealed(1_000_003, 2, 9)}, 1_000_001, 1_000_003, 0, 500},
		{"applied to its end", 1_000_001, long, []state.Entry{sealed(1_000_002, 2, 9)}, 1_000_001, 1_000_002, 0, 500},
		{"applied in part", 1_000_000, compacted(2, 1_000_003, 2, 0, 500), nil, 1_000_000, 1_000_003, 0, 500},
		{"not applied", 1, compacted(2, 4, 2, 0, 500), []state.Entry{sealed(5, 2, 9)}, 2, 5, 0, 500},
		{"from before the log", 4, compacted(1, 4, 2, 0, 500), []state.Entry{sealed(5, 2, 9)}, 4, 5, 0, 500},
	} {
		last := c.run.Through() + uint64(len(c.rest))
		l := reopened(last, c.commit, terms...)
		l.Restore(c.run)
		for _, e := range c.rest {
			l.Restore(e)
		}
		if got := len(l.entries); got != int(c.last-c.first)+1 || l.entries[0].Index != c.first || l.End().Index != c.last {
			t.Errorf("%s: %d entries in memory, from %d to %d", c.name, got, l.entries[0].Index, l.End().Index)
			continue
		}
		end, ok := l.At(c.run.Through())
		if !ok || end.Base != c.base || end.Last != c.runsLast || end.Through() != c.run.Through() {
			t.Errorf("%s: the run ends with %+v", c.name, end)
		}
		for i := max(c.first, c.commit); i < c.run.Through(); i++ {
			if e, ok := l.At(i); !ok || e.Index != i || e.Next() != c.run.Base {
				t.Errorf("%s: entry %d is %+v", c.name, i, e)
			}
		}
		if got, err := l.Entries(max(c.commit, c.first), last+1, 1<<20); err != nil || got[0].Index != max(c.commit, c.first) {
			t.Errorf("%s: raft gets %v, %v", c.name, indexes(got), err)
		}
	}
}

// Goal: a lagging follower gets a run entry by entry, in pieces of bounded size, and ends with the offsets of
// its end, wherever in it it was. Method: read a window from the middle of a long run until it is over, make
// entries of what raft would carry.
func TestWindowOverRuns(t *testing.T) {
	run := compacted(2, 40_001, 2, 0, 700)
	l := reopened(40_003, 40_003, TermStart{Term: 1, Index: 1}, TermStart{Term: 2, Index: 2})
	behind := sealed(40_002, 2, 5)
	behind.Base, behind.Last = 701, 703
	behind.Seal()
	l.Restore(run)
	l.Restore(behind)
	l.Restore(sealed(40_003, 2, 5))
	l.SetApplied(40_003)
	l.budget = 0
	l.SetApplied(40_003)
	follower := state.Entry{Index: 9, Term: 2, Base: 30, Last: 33, AppendTimeMs: 50, MaxTimestampMs: 60}
	windows := 0
	for at := uint64(10); at <= 40_002; {
		got, err := l.Entries(at, 40_004, 1<<20)
		if err != nil {
			lo, _, ok := l.Wanted()
			if windows++; !ok || lo != at || windows > 10 {
				t.Fatalf("wanted %d %v for %d, after %d windows", lo, ok, at, windows)
			}
			l.AddWindow(lo, []state.Entry{run, behind})
			continue
		}
		for _, r := range got {
			if r.Index != at || r.Term != 2 {
				t.Fatalf("entry %d of term %d where %d belongs", r.Index, r.Term, at)
			}
			e, err := FromRaft(r, follower)
			if err != nil || e.Index <= 40_001 && (e.Base != 34 || e.MaxTimestampMs < 60) {
				t.Fatalf("%+v, %v", e, err)
			}
			follower = e
			at++
		}
	}
	if windows < 3 || follower.Base != 701 || follower.Last != 703 {
		t.Errorf("%d windows, the end is %+v", windows, follower)
	}
}

// Goal: a run that was read before its log was cut and written anew is not served. Method: a window whose run
// ends behind the log, or in another term.
func TestWindowOfAnotherLog(t *testing.T) {
	l := newLog(0, 2, 2, 2, 3, 3)
	l.SetApplied(6)
	for _, run := range []state.Entry{compacted(2, 9, 2, 0, 9), compacted(2, 5, 2, 0, 9), compacted(2, 4, 1, 0, 9)} {
		if _, err := l.Entries(3, 6, 1<<20); err == nil {
			t.Fatal("what is not there was served")
		}
		l.AddWindow(3, []state.Entry{run})
		if got, err := l.Entries(3, 6, 1<<20); err == nil {
			t.Errorf("served %v", indexes(got))
		}
	}
}

// Goal: neighbours without content are written as one run, and nothing else is. Method: rows of entries.
func TestRoll(t *testing.T) {
	empty := func(index, term uint64) state.Entry {
		e, _ := FromRaft(raftpb.Entry{Index: index, Term: term}, state.Entry{Index: index - 1, Last: 4})
		return e
	}
	row := []state.Entry{
		sealed(2, 2, 9), empty(3, 3), sealed(4, 3, 9), empty(5, 3), empty(6, 3), compacted(7, 7, 3, 5, 8), empty(8, 4),
		empty(9, 4), sealed(10, 4, 9),
	}
	var got [][2]uint64
	for _, e := range Roll(row) {
		got = append(got, [2]uint64{e.Index, e.Through()})
	}
	if want := [][2]uint64{{2, 2}, {3, 3}, {4, 4}, {5, 7}, {8, 9}, {10, 10}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if run := Roll(row)[3]; run.Base != 5 || run.Last != 8 || run.Type != state.EntryCompacted {
		t.Errorf("run %+v", run)
	}
	if same := Roll(row[:4]); &same[0] != &row[0] {
		t.Error("a row without runs was copied")
	}
}
