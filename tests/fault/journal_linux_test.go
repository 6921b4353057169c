package fault

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// part names a partition, at a record in it.
type (
	part struct {
		topic     string
		partition int32
	}
	at struct {
		part
		offset int64
	}
)

func (w at) String() string { return fmt.Sprintf("%s/%d@%d", w.topic, w.partition, w.offset) }

// journal is what was acknowledged: the checksum of the value at each offset.
type journal struct {
	mu     sync.Mutex
	values map[at]uint32
	again  []at // offsets that were acknowledged twice
}

func (j *journal) add(where at, sum uint32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.values == nil {
		j.values = map[at]uint32{}
	}
	if _, ok := j.values[where]; ok {
		j.again = append(j.again, where)
	}
	j.values[where] = sum
}

func (j *journal) len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.values)
}

// sofar is the journal as it is now: what is acknowledged while a log is being read may stand behind what was read.
func (j *journal) sofar() *journal {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &journal{values: maps.Clone(j.values), again: slices.Clone(j.again)}
}

// awaitMore waits until n more records have been acknowledged.
func (j *journal) awaitMore(t *testing.T, n int) {
	t.Helper()
	begin := j.len()
	harness.Await(t, limit, func() bool { return j.len() >= begin+n }, "%d more acknowledged records", n)
}

// compare returns what the journal has and the log neither has nor refuses, or has otherwise.
func (j *journal) compare(r *readback) (faults []error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, where := range j.again {
		faults = append(faults, fmt.Errorf("%v was acknowledged twice", where))
	}
	for where, sum := range j.values {
		switch got, ok := r.found[where]; {
		case ok && got != sum:
			faults = append(faults, fmt.Errorf("%v is not the acknowledged record", where))
		case !ok && r.refused[where] == nil:
			faults = append(faults, fmt.Errorf("acknowledged record %v is lost", where))
		}
	}
	return faults
}

// compareServed returns where the log has acknowledged records otherwise; it may have them not at all.
func (j *journal) compareServed(r *readback) (faults []error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for where, sum := range j.values {
		if got, ok := r.found[where]; ok && got != sum {
			faults = append(faults, fmt.Errorf("%v is not the acknowledged record", where))
		}
	}
	return faults
}

// newValue makes a value that does not compress and ends with its checksum.
func newValue(rng *rand.Rand, size int) []byte {
	b := make([]byte, max(size, 16))
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	body := len(b) - crc32.Size
	binary.LittleEndian.PutUint32(b[body:], crc32.ChecksumIEEE(b[:body]))
	return b
}

// whole verifies the checksum that ends every value.
func whole(value []byte) error {
	body := len(value) - crc32.Size
	if body < 0 {
		return fmt.Errorf("value of %d bytes", len(value))
	}
	if sum := crc32.ChecksumIEEE(value[:body]); sum != binary.LittleEndian.Uint32(value[body:]) {
		return fmt.Errorf("a value of %d bytes does not have its checksum", len(value))
	}
	return nil
}
