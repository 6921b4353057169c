package enginetest

import (
	"slices"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// badSeek finds offset 8 one entry too late.
type badSeek struct{ state.LogStore }

func (b badSeek) Seek(r record.ReplicaID, o record.Offset) (uint64, error) {
	i, err := b.LogStore.Seek(r, o)
	if o == 8 {
		i++
	}
	return i, err
}

// badTime finds the last entry whatever the time.
type badTime struct{ state.LogStore }

func (b badTime) SeekTime(r record.ReplicaID, _ int64) (uint64, error) {
	return b.LogStore.SeekTime(r, 60)
}

// badEnd serves an entry behind the end.
type badEnd struct{ state.LogStore }

func (b badEnd) Entries(r record.ReplicaID, lo, hi uint64, n int, dst []state.Entry) ([]state.Entry, error) {
	if lo == 7 {
		lo--
	}
	return b.LogStore.Entries(r, lo, hi, n, dst)
}

// noRuns drops entries without a run.
type noRuns struct{ state.LogStore }

func (b noRuns) Entries(r record.ReplicaID, lo, hi uint64, n int, dst []state.Entry) ([]state.Entry, error) {
	es, err := b.LogStore.Entries(r, lo, hi, n, dst)
	return slices.DeleteFunc(es, func(e state.Entry) bool { return e.Type == state.EntryCompacted }), err
}

// longRuns makes runs of entries that are there.
type longRuns struct{ state.LogStore }

func (b longRuns) Entries(r record.ReplicaID, lo, hi uint64, n int, dst []state.Entry) ([]state.Entry, error) {
	es, err := b.LogStore.Entries(r, lo, hi, n, dst)
	if len(es) > 1 && es[0].Type == state.EntryCompacted {
		es = append([]state.Entry{state.Compacted(es[0], es[1])}, es[2:]...)
	}
	return es, err
}
