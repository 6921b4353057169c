package real

import (
	"fmt"
	"sync"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// at names a record.
type at struct {
	partition int32
	offset    int64
}

// journal is what was acknowledged: the checksum of the value at each offset.
type journal struct {
	mu     sync.Mutex
	values map[at]uint32
}

func (j *journal) add(where at, sum uint32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.values == nil {
		j.values = map[at]uint32{}
	}
	j.values[where] = sum
}

func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.values)
}

// awaitMore waits until n more records have been acknowledged.
func (j *journal) awaitMore(t *testing.T, n int) {
	t.Helper()
	begin := j.len()
	harness.Await(t, limit, func() bool { return j.len() >= begin+n }, "%d more acknowledged records", n)
}

// awaitQuiet waits until the member has ended.
func (j *journal) awaitQuiet(t *testing.T, s *harness.Server) {
	t.Helper()
	harness.Await(t, limit, func() bool { return !s.Running() }, "the end of the member")
}

// compare returns what the journal has and the log has not, or has otherwise.
func (j *journal) compare(found map[at]uint32) (faults []error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for where, sum := range j.values {
		switch got, ok := found[where]; {
		case !ok:
			faults = append(faults, fmt.Errorf("acknowledged record %d@%d is lost", where.partition, where.offset))
		case got != sum:
			faults = append(faults, fmt.Errorf("record %d@%d is not the acknowledged one", where.partition, where.offset))
		}
	}
	return faults
}
