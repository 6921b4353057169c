package golang

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// place is where a record stands.
type place struct {
	partition int32
	offset    int64
}

// entry is a record of the tests: the n-th of its key.
type entry struct {
	key string
	n   int
}

// entryOf is record i of a series that goes round over some keys.
func entryOf(i int) entry { return entry{"key-" + strconv.Itoa(i%17), i / 17} }

func (e entry) value() []byte { return fmt.Appendf(nil, "%s/%d", e.key, e.n) }

// ledger is what clients have sent, read and committed, and what is wrong with it.
type ledger struct {
	mu     sync.Mutex
	sent   map[entry]bool // acknowledged
	read   map[place]entry
	done   map[int32]int64 // positions that were seen as committed
	again  int             // records that were read although they were done with
	owner  map[int32]string
	faults []error
}

func newLedger() *ledger {
	return &ledger{
		sent: map[entry]bool{}, read: map[place]entry{}, done: map[int32]int64{}, owner: map[int32]string{},
	}
}

func (l *ledger) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf(format, args...))
}

// acknowledged notes that a record was written.
func (l *ledger) acknowledged(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[e] = true
}

// took notes a record that a consumer was given.
func (l *ledger) took(partition int32, offset int64, key, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, number, _ := strings.Cut(string(value), "/")
	n, err := strconv.Atoi(number)
	e, at := entry{name, n}, place{partition, offset}
	if err != nil || name != string(key) {
		l.fault("%v holds %q under key %q", at, value, key)
	}
	if was, ok := l.read[at]; ok && was != e {
		l.fault("%v held %v, and now %v", at, was, e)
	}
	if offset < l.done[partition] {
		l.again++
	}
	l.read[at] = e
}

// committed notes the position of a group, which never goes back.
func (l *ledger) committed(partition int32, position int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if position < l.done[partition] {
		l.fault("partition %d is committed at %d, it was at %d", partition, position, l.done[partition])
		return
	}
	l.done[partition] = position
}

// owns notes that a member of a group got partitions, which nobody else may have.
func (l *ledger) owns(who string, partitions []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range partitions {
		if other, taken := l.owner[p]; taken && other != who {
			l.fault("partition %d goes to %s, %s has it", p, who, other)
		}
		l.owner[p] = who
	}
}

// gaveUp notes that a member gave its partitions back.
func (l *ledger) gaveUp(who string, partitions []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range partitions {
		if l.owner[p] == who {
			delete(l.owner, p)
		}
	}
}

// shared reports whether so many members own so many partitions.
func (l *ledger) shared(members, partitions int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	who := map[string]bool{}
	for _, name := range l.owner {
		who[name] = true
	}
	return len(who) == members && len(l.owner) == partitions
}

func (l *ledger) counts() (sent, read int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent), len(l.read)
}

// caughtUp reports whether everything that was acknowledged has been read, or something is wrong.
func (l *ledger) caughtUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.faults) > 0 || len(l.missing()) == 0
}

func (l *ledger) missing() []entry {
	there := map[entry]bool{}
	for _, e := range l.read {
		there[e] = true
	}
	var out []entry
	for e := range l.sent {
		if !there[e] {
			out = append(out, e)
		}
	}
	return out
}

// verdict returns everything that is wrong: what was lost, skipped offsets, a key out of order. A producer that
// is not idempotent may have written a record twice when an answer was lost; once says that it must not.
func (l *ledger) verdict(once bool) []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	faults := slices.Clone(l.faults)
	for _, e := range l.missing() {
		faults = append(faults, fmt.Errorf("%v was acknowledged and not read", e))
	}
	places := make([]place, 0, len(l.read))
	for at := range l.read {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	newest, home, next := map[string]int{}, map[string]int32{}, map[int32]int64{}
	for _, at := range places {
		e := l.read[at]
		if at.offset != next[at.partition] {
			faults = append(faults, fmt.Errorf("partition %d: %d follows on %d", at.partition, at.offset, next[at.partition]-1))
		}
		next[at.partition] = at.offset + 1
		last, seen := newest[e.key]
		if !seen {
			last = -1
			home[e.key] = at.partition
		}
		if home[e.key] != at.partition {
			faults = append(faults, fmt.Errorf("%s stands in partitions %d and %d", e.key, home[e.key], at.partition))
		}
		if e.n > last+1 || once && e.n != last+1 {
			faults = append(faults, fmt.Errorf("%v: %s/%d follows on %d", at, e.key, e.n, last))
		}
		newest[e.key] = max(last, e.n)
	}
	return faults
}

// check fails the test for everything that is wrong.
func (l *ledger) check(t *testing.T, once bool) {
	t.Helper()
	if faults := l.verdict(once); len(faults) > 0 {
		t.Fatalf("%d faults, the first ones %v", len(faults), faults[:min(5, len(faults))])
	}
}

// Goal: the ledger finds what was lost, skipped, doubled, out of order, owned twice, and positions that go back.
// Method: each in a ledger of its own, beside one where all is well.
func TestLedgerFindsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		does func(l *ledger)
		want int
	}{
		"well":         {func(*ledger) {}, 0},
		"lost":         {func(l *ledger) { l.acknowledged(entry{"k", 3}) }, 1},
		"skipped":      {func(l *ledger) { l.took(0, 4, []byte("k"), []byte("k/3")) }, 1},
		"doubled":      {func(l *ledger) { l.took(0, 3, []byte("k"), []byte("k/2")) }, 1},
		"out of order": {func(l *ledger) { l.took(0, 3, []byte("k"), []byte("k/5")) }, 1},
		"another key":  {func(l *ledger) { l.took(0, 3, []byte("x"), []byte("k/3")) }, 1},
		"two homes":    {func(l *ledger) { l.took(1, 0, []byte("k"), []byte("k/3")) }, 1},
		"changed":      {func(l *ledger) { l.took(0, 2, []byte("k"), []byte("k/3")) }, 3},
		"back":         {func(l *ledger) { l.committed(0, 3); l.committed(0, 2) }, 1},
		"two owners":   {func(l *ledger) { l.owns("a", []int32{0, 1}); l.owns("b", []int32{1}) }, 1},
	} {
		l := newLedger()
		for i := range 3 {
			l.acknowledged(entry{"k", i})
			l.took(0, int64(i), []byte("k"), entry{"k", i}.value())
		}
		c.does(l)
		if faults := l.verdict(true); len(faults) != c.want {
			t.Errorf("%s: %d faults, want %d: %v", name, len(faults), c.want, faults)
		}
	}
	l := newLedger()
	l.committed(0, 1)
	if l.took(0, 0, []byte("k"), []byte("k/0")); l.again != 1 {
		t.Error("a record that was committed is read again, and nobody saw it")
	}
}
