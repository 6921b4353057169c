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
	if err := checkEntries(s, l); err != nil {
		return err
	}
	return checkSeeks(s, l)
}

func checkEntries(s state.LogStore, l *Log) error {
	at := l.Tail.First
	for at <= l.Tail.Last {
		got, err := s.Entries(l.ID, at, l.Tail.Last+5, 1<<20, nil)
		if err != nil {
			return fmt.Errorf("entries of replica %d from %d: %w", l.ID, at, err)
		}
		for _, e := range got {
			if !reflect.DeepEqual(e, l.Entries[at]) {
				return fmt.Errorf("replica %d has entry %d of term %d at index %d, want term %d", l.ID, e.Index,
					e.Term, at, l.Entries[at].Term)
			}
			at++
		}
	}
	if at != l.Tail.Last+1 {
		return fmt.Errorf("replica %d gave entries up to %d, want %d", l.ID, at-1, l.Tail.Last)
	}
	for _, i := range []uint64{l.Tail.First - 1, l.Tail.Last + 1} {
		if e, err := s.Entries(l.ID, i, i+1, 1, nil); fault.CodeOf(err) != fault.OffsetOutOfRange {
			return fmt.Errorf("index %d of replica %d outside its log gives %d entries and %v", i, l.ID, len(e), err)
		}
	}
	return nil
}

func checkSeeks(s state.LogStore, l *Log) error {
	for i := l.Tail.First; i <= l.Tail.Last; i++ {
		e := l.Entries[i]
		for _, o := range []record.Offset{e.Base - 1, e.Base, e.Last, e.Last + 1} {
			if got, err := s.Seek(l.ID, o); err != nil || got != l.Seek(o) {
				return fmt.Errorf("replica %d: offset %d is in entry %d (%v), want %d", l.ID, o, got, err, l.Seek(o))
			}
		}
		for _, ms := range []int64{e.MaxTimestampMs - 1, e.MaxTimestampMs, e.MaxTimestampMs + 1} {
			if got, err := s.SeekTime(l.ID, ms); err != nil || got != l.SeekTime(ms) {
				return fmt.Errorf("replica %d: time %d is in entry %d (%v), want %d", l.ID, ms, got, err, l.SeekTime(ms))
			}
		}
	}
	if got, err := s.Seek(l.ID, 1<<60); err != nil || got != l.Tail.Last+1 {
		return fmt.Errorf("replica %d: an offset behind the log is in entry %d (%v)", l.ID, got, err)
	}
	return nil
}
