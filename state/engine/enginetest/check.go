package enginetest

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Check compares everything that a store says of a replica with the model: tail, carried rows, every entry,
// the refusals at both ends, and seeks to and around every entry. It returns the first difference.
func Check(s state.LogStore, l *Log) error {
	tail, rows, err := s.Load(l.ID)
	if err != nil {
		return fmt.Errorf("load replica %d: %w", l.ID, err)
	}
	if !reflect.DeepEqual(tail, l.Tail) {
		return fmt.Errorf("replica %d has tail %+v, want %+v", l.ID, tail, l.Tail)
	}
	if len(rows) != len(l.Rows) {
		return fmt.Errorf("replica %d has %d carried rows, want %d", l.ID, len(rows), len(l.Rows))
	}
	for i, k := range l.kinds() {
		if rows[i].Kind != k || !bytes.Equal(rows[i].Value, l.Rows[k]) {
			return fmt.Errorf("replica %d carries row %d with %d bytes, want row %d with %d", l.ID, rows[i].Kind,
				len(rows[i].Value), k, len(l.Rows[k]))
		}
	}
	es, err := checkEntries(s, l)
	if err != nil {
		return err
	}
	if err := checkLent(s, l, es); err != nil {
		return err
	}
	return checkSeeks(s, l, es)
}

// lentAtOnce is how many bytes checkLent borrows: enough for some entries, not for all.
const lentAtOnce = 100 << 10

// checkLent compares what a store lends with all entries of a replica, if it lends.
func checkLent(s state.LogStore, l *Log, all []state.Entry) error {
	lender, ok := s.(state.Lender)
	if !ok {
		return nil
	}
	var loan state.Loan
	defer loan.Release()
	for len(all) > 0 {
		loan.Release()
		got, err := lender.Lend(l.ID, max(all[0].Index, l.Tail.First), l.Tail.Last+1, lentAtOnce, nil, &loan)
		if err != nil || len(got) == 0 || len(got) > len(all) || !reflect.DeepEqual(got, all[:len(got)]) {
			return fmt.Errorf("replica %d lends %d other entries from %d on: %w", l.ID, len(got), all[0].Index, err)
		}
		sum := 0
		for _, e := range got {
			sum += len(e.Frame)
		}
		switch all = all[len(got):]; {
		case len(got) > 1 && sum > lentAtOnce:
			return fmt.Errorf("replica %d lends %d bytes", l.ID, sum)
		case len(all) > 0 && sum+len(all[0].Frame) <= lentAtOnce:
			return fmt.Errorf("replica %d lends nothing behind entry %d", l.ID, got[len(got)-1].Index)
		}
	}
	return nil
}

// checkEntries compares the entries with the model and returns them.
func checkEntries(s state.LogStore, l *Log) ([]state.Entry, error) {
	var all []state.Entry
	at := l.Tail.First
	for at <= l.Tail.Last {
		got, err := s.Entries(l.ID, at, l.Tail.Last+5, 1<<20, nil)
		if err != nil {
			return nil, fmt.Errorf("entries of replica %d from %d: %w", l.ID, at, err)
		}
		for _, e := range got {
			if e.Type == state.EntryCompacted {
				err = checkRun(s, l, e, at)
			} else if want := l.Entries[at]; !reflect.DeepEqual(e, want) {
				err = fmt.Errorf("replica %d has entry %d of term %d, type %d and %d bytes at index %d, want term %d, "+
					"type %d, %d bytes", l.ID, e.Index, e.Term, e.Type, len(e.Frame), at, want.Term, want.Type, len(want.Frame))
			}
			if n := len(all); err == nil && n > 0 && all[n-1].MaxTimestampMs > e.MaxTimestampMs {
				err = fmt.Errorf("replica %d: times go down to %d in entry %d", l.ID, e.MaxTimestampMs, e.Index)
			}
			if err != nil {
				return nil, err
			}
			all, at = append(all, e), e.Through()+1
		}
	}
	if at != l.Tail.Last+1 {
		return nil, fmt.Errorf("replica %d gave entries up to %d, want %d", l.ID, at-1, l.Tail.Last)
	}
	for _, i := range []uint64{l.Tail.First - 1, l.Tail.Last + 1} {
		if e, err := s.Entries(l.ID, i, i+1, 1, nil); fault.CodeOf(err) != fault.OffsetOutOfRange {
			return nil, fmt.Errorf("index %d of replica %d outside its log gives %d entries and %v", i, l.ID, len(e), err)
		}
	}
	return all, nil
}

// checkRun compares a run, which was found at an index, with what it stands for: entries of one term, of all
// of which nothing is left. Each index in it leads to it.
func checkRun(s state.LogStore, l *Log, run state.Entry, at uint64) error {
	if run.Index > at || run.Index < at && at != l.Tail.First {
		return fmt.Errorf("replica %d has a run from %d at index %d", l.ID, run.Index, at)
	}
	for i := run.Index; i <= run.Through(); i++ {
		if e, ok := l.Dropped[i]; !ok || e.Term != run.Term {
			return fmt.Errorf("the run %d to %d of replica %d, term %d, hides entry %d", run.Index, run.Through(), l.ID,
				run.Term, i)
		}
		if i < l.Tail.First || i > l.Tail.Last {
			continue
		}
		got, err := s.Entries(l.ID, i, i+1, 1, nil)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], run) {
			return fmt.Errorf("index %d of replica %d, in the run from %d, gives %d entries: %w", i, l.ID, run.Index,
				len(got), err)
		}
	}
	want := state.Compacted(l.Dropped[run.Index], l.Dropped[run.Through()])
	if l.cut[run.Through()] { // nobody knows how old what is left of it is
		want.AppendTimeMs, want.MaxTimestampMs = run.AppendTimeMs, run.MaxTimestampMs
		want.Seal()
	}
	if !reflect.DeepEqual(run, want) {
		return fmt.Errorf("replica %d has the run %+v through %d, want %+v", l.ID, run, run.Through(), want)
	}
	return nil
}

// checkSeeks seeks to and around every entry and compares with a walk over all of them.
func checkSeeks(s state.LogStore, l *Log, es []state.Entry) error {
	first := func(holds func(e state.Entry) bool) uint64 {
		for _, e := range es {
			if holds(e) {
				return max(e.Index, l.Tail.First)
			}
		}
		return l.Tail.Last + 1
	}
	for _, e := range es {
		for _, o := range []record.Offset{e.Base - 1, e.Base, (e.Base + e.Last) / 2, e.Last, e.Last + 1} {
			want := first(func(e state.Entry) bool { return e.Last >= o })
			if got, err := s.Seek(l.ID, o); err != nil || got != want {
				return fmt.Errorf("replica %d: offset %d is in entry %d (%v), want %d", l.ID, o, got, err, want)
			}
		}
		for _, ms := range []int64{e.MaxTimestampMs - 1, e.MaxTimestampMs, e.MaxTimestampMs + 1} {
			want := first(func(e state.Entry) bool { return e.MaxTimestampMs >= ms })
			if got, err := s.SeekTime(l.ID, ms); err != nil || got != want {
				return fmt.Errorf("replica %d: time %d is in entry %d (%v), want %d", l.ID, ms, got, err, want)
			}
		}
	}
	if got, err := s.Seek(l.ID, 1<<60); err != nil || got != l.Tail.Last+1 {
		return fmt.Errorf("replica %d: an offset behind the log is in entry %d (%v)", l.ID, got, err)
	}
	return nil
}
