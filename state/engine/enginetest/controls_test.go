package enginetest

import (
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
