package engine

import (
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: a reader is led to where it came to, and nobody to what may be truncated or has been given up. Method: note
// entries of a log that is committed in part, ask for offsets around them, then let the log start pass.
func TestReadPlaces(t *testing.T) {
	t.Parallel()
	var p readPlaces
	v := view{tail: state.Tail{First: 1, Last: 20, Commit: 12}}
	p.note(v, state.Entry{Index: 5, Base: 100, Last: 109})
	p.note(v, state.Entry{Index: 13, Base: 300, Last: 309}) // not committed yet
	for _, c := range []struct {
		from  uint64 // first index of the log
		at    record.Offset
		index uint64 // 0: not known
	}{
		{1, 99, 0}, {1, 100, 5}, {1, 109, 5}, {1, 110, 6}, {1, 111, 0}, {1, 305, 0}, {1, 310, 0},
		{6, 109, 0}, {6, 110, 6}, {7, 110, 0},
	} {
		v.tail.First = c.from
		if index, ok := p.find(v, c.at); ok != (c.index > 0) || index != c.index {
			t.Errorf("offset %d in a log from index %d: %d, want %d", c.at, c.from, index, c.index)
		}
	}
}
