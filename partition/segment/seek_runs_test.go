package segment

import (
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: a time is found over runs and emptied batches, which keep the times of what they held, in a few reads.
// Method: as in TestReadOverRuns.
func TestSeekTimeOverRuns(t *testing.T) {
	s := newSparse(t)
	one, two := s.entries[1], s.entries[4]
	for _, tail := range [][]state.Entry{nil, s.entries[4:], s.entries} {
		v := s.view(tail)
		for ms, want := range map[int64]record.Offset{5: one.Base, 10: one.Base, 15: two.Base, 60: NoOffset, 80: NoOffset} {
			s.reads = 0
			if got, _, err := v.SeekTime(s, ms, nil); err != nil || got != want || s.reads > 10 {
				t.Errorf("time %d with %d in memory: offset %d, %v, in %d reads; want %d", ms, len(tail), got, err, s.reads, want)
			}
		}
	}
}
