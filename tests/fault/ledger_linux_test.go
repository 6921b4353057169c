package fault

import (
	"fmt"
	"hash/crc64"
	"slices"
	"sync"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

type (
	// slot is a key of a partition; every record without a key is in the slot of the empty one.
	slot struct {
		part
		key string
	}
	// copied is what of a record is compared.
	copied struct {
		sum   uint64 // of key and value
		key   string
		null  bool // it deletes its key
		bytes int64
	}
	// sending is a record on its way, in the order in which they were sent.
	sending struct {
		seq uint64
		copied
	}
	// cutting is how far the records of a partition were deleted: asked for, and acknowledged.
	cutting struct{ asked, reached int64 }
	// newest is the acknowledged record of a slot with the highest offset.
	newest struct {
		offset int64
		null   bool
	}
)

var sumTable = crc64.MakeTable(crc64.ECMA)

func copyOf(key, value []byte) copied {
	sum := crc64.Update(crc64.Checksum(key, sumTable), sumTable, value)
	return copied{sum: sum, key: string(key), null: value == nil, bytes: int64(len(key) + len(value))}
}

// ledger is what a log that loses records on purpose must still have: every record that was sent, acknowledged or
// served, how far they were asked to be deleted, and where each log began when it was last read.
type ledger struct {
	mu      sync.Mutex
	seq     uint64
	pending map[slot][]sending
	acked   map[part]map[int64]copied
	newest  map[slot]newest
	cut     map[part]cutting
	starts  map[part]int64
	n       int
	faults  []error
}

func newLedger() *ledger {
	return &ledger{
		pending: map[slot][]sending{}, acked: map[part]map[int64]copied{}, newest: map[slot]newest{},
		cut: map[part]cutting{}, starts: map[part]int64{},
	}
}

// send notes a record before it goes out, and returns its number.
func (l *ledger) send(p part, c copied) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	s := slot{p, c.key}
	l.pending[s] = append(l.pending[s], sending{l.seq, c})
	return l.seq
}

// add notes an acknowledged record. What was sent to its slot before is behind it, wherever it went.
func (l *ledger) add(where at, seq uint64, c copied) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.acked[where.part][where.offset]; ok && old != c {
		l.faults = append(l.faults, fmt.Errorf("%v was acknowledged twice", where))
	}
	l.n++
	l.keepLocked(where, seq, c)
}

func (l *ledger) keepLocked(where at, seq uint64, c copied) {
	if l.acked[where.part] == nil {
		l.acked[where.part] = map[int64]copied{}
	}
	l.acked[where.part][where.offset] = c
	s := slot{where.part, c.key}
	l.pending[s] = slices.DeleteFunc(l.pending[s], func(o sending) bool { return o.seq <= seq })
	if last, ok := l.newest[s]; !ok || last.offset < where.offset {
		l.newest[s] = newest{where.offset, c.null}
	}
}

// len is how many records were acknowledged.
func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// awaitMore waits until n more records have been acknowledged.
func (l *ledger) awaitMore(t *testing.T, n int) {
	t.Helper()
	begin := l.len()
	harness.Await(t, limit, func() bool { return l.len() >= begin+n }, "%d more acknowledged records", n)
}

// end is the offset behind the last acknowledged record.
func (l *ledger) end(p part) (end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for offset := range l.acked[p] {
		end = max(end, offset+1)
	}
	return end
}

// asks notes that the records below an offset are about to be deleted, reaches that they were.
func (l *ledger) asks(p part, to int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cut[p]
	l.cut[p] = cutting{max(c.asked, to), c.reached}
}

func (l *ledger) reaches(p part, to int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.cut[p]
	l.cut[p] = cutting{c.asked, max(c.reached, to)}
}

// stretch is a partition as it was read: from its log start to its end.
type stretch struct {
	start, end int64
	found      map[int64]copied
	faults     []error // records that are torn, refused, or stand where none may
}

// compare returns in what a partition is not what it has to be, and notes what it serves: it is durable now,
// acknowledged or not.
func (l *ledger) compare(p part, r shape, s *stretch) []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	faults := append(slices.Clone(l.faults), s.faults...)
	bad := func(offset int64, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%v "+format, append([]any{at{p, offset}}, args...)...))
	}
	l.faults = nil
	l.compareStart(p, r, s, bad)
	l.compareFound(p, s, bad)
	if r.keyed {
		l.compareKeys(p, s, bad)
	} else {
		l.compareDense(p, s, bad)
	}
	if len(faults) > 0 {
		return faults
	}
	l.starts[p] = s.start
	for _, offset := range sortedOffsets(s.found) {
		if _, known := l.acked[p][offset]; !known {
			c := s.found[offset]
			l.keepLocked(at{p, offset}, l.sentLocked(p, c), c)
		}
	}
	return nil
}

func sortedOffsets(found map[int64]copied) []int64 {
	offsets := make([]int64, 0, len(found))
	for offset := range found {
		offsets = append(offsets, offset)
	}
	slices.Sort(offsets)
	return offsets
}

// sentLocked is the number of a record that is on its way; 0 where no such record is.
func (l *ledger) sentLocked(p part, c copied) uint64 {
	for _, o := range l.pending[slot{p, c.key}] {
		if o.copied == c {
			return o.seq
		}
	}
	return 0
}

// compareStart holds the log start to what was asked for: it is not beyond, and never goes back.
func (l *ledger) compareStart(p part, r shape, s *stretch, bad func(int64, string, ...any)) {
	cut, kept := l.cut[p], int64(0)
	for _, c := range s.found {
		kept += c.bytes
	}
	switch {
	case s.start < l.starts[p]:
		bad(s.start, "is the log start again, it was %d", l.starts[p])
	case r.keepBytes > 0 && s.start > 0 && kept < r.keepBytes*3/4: // what stands around the records counts too
		bad(s.start, "is the log start and leaves %d bytes, %d were to be kept", kept, r.keepBytes)
	case r.keepBytes == 0 && (s.start < cut.reached || s.start > cut.asked):
		bad(s.start, "is the log start, not from %d to %d", cut.reached, cut.asked)
	}
}

// compareFound finds records that are others than those acknowledged, were never sent, or stand twice.
func (l *ledger) compareFound(p part, s *stretch, bad func(int64, string, ...any)) {
	seen := map[uint64]int64{}
	for offset, c := range s.found {
		want, known := l.acked[p][offset]
		switch {
		case known && want != c:
			bad(offset, "is not the acknowledged record")
		case !known && l.sentLocked(p, c) == 0:
			bad(offset, "was never sent")
		}
		if first, twice := seen[c.sum]; twice && !c.null {
			bad(offset, "is the record of offset %d once more", first)
		}
		seen[c.sum] = offset
	}
}

// compareDense finds what is missing of a log from its start on.
func (l *ledger) compareDense(p part, s *stretch, bad func(int64, string, ...any)) {
	for offset := range l.acked[p] {
		if _, ok := s.found[offset]; !ok && offset >= s.start {
			bad(offset, "was acknowledged and is lost")
		}
	}
	for offset := s.start; offset < s.end; offset++ {
		if _, ok := s.found[offset]; !ok {
			bad(offset, "is missing, the log goes from %d to %d", s.start, s.end)
		}
	}
}

// compareKeys finds keys that do not have what they had last: the newest acknowledged record, or one that was sent
// after it. A deleted one has nothing, or what deletes it.
func (l *ledger) compareKeys(p part, s *stretch, bad func(int64, string, ...any)) {
	last := map[string]int64{}
	for offset, c := range s.found {
		if old, ok := last[c.key]; !ok || old < offset {
			last[c.key] = offset
		}
	}
	for of, want := range l.newest {
		if of.part != p {
			continue
		}
		got, some := last[of.key]
		gone := want.null || slices.ContainsFunc(l.pending[of], func(o sending) bool { return o.null })
		switch {
		case some && got >= want.offset:
		case !some && !gone:
			bad(want.offset, "is the newest of key %q, acknowledged, and is lost", of.key)
		case some && want.null:
			bad(got, "is of key %q, which was deleted at %d", of.key, want.offset)
		case some:
			bad(got, "is the newest of key %q, the acknowledged one at %d is lost", of.key, want.offset)
		}
	}
}
