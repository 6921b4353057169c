package cluster

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// DamagedRange names entries of one partition that do not verify any more. Its JSON keys are stable.
type DamagedRange struct {
	Topic     string           `json:"topic"`
	Partition record.Partition `json:"partition"`

	// From and To are the first and the last offset that cannot be read, or -1 where the entries around the
	// range do not tell: at the beginning or the end of the log, or where what is damaged is no entry. To is
	// below From where the damaged entries held no records.
	From record.Offset `json:"from"`
	To   record.Offset `json:"to"`

	// First and Last are the indexes of the damaged entries; both are 0 where it is a row about the replica
	// that is damaged.
	First uint64 `json:"first_index"`
	Last  uint64 `json:"last_index"`

	Class string `json:"class,omitempty"`
	Err   string `json:"error"`

	replica record.ReplicaID
}

// String says what is damaged: "lines/0 offsets 10 to 19".
func (d DamagedRange) String() string {
	name := fmt.Sprintf("%s/%d", d.Topic, d.Partition)
	switch {
	case d.First == 0:
		return name + ": a row that it needs to start"
	case d.From < 0 && d.To < 0:
		return fmt.Sprintf("%s entries %d to %d", name, d.First, d.Last)
	case d.From < 0:
		return fmt.Sprintf("%s offsets up to %d", name, d.To)
	case d.To < 0:
		return fmt.Sprintf("%s from offset %d on", name, d.From)
	case d.To < d.From:
		return fmt.Sprintf("%s entries %d to %d, which hold no records, at offset %d", name, d.First, d.Last, d.From)
	case d.To == d.From:
		return fmt.Sprintf("%s offset %d", name, d.From)
	}
	return fmt.Sprintf("%s offsets %d to %d", name, d.From, d.To)
}

// Limits of what is remembered and looked at.
const (
	maxRangesOfOne = 64   // a partition with more is counted, not listed
	maxRangesOfAll = 1024 // over all partitions
	maxAround      = 4096 // entries that are looked at on each side of a damaged one
)

// damageLog remembers what readers found damaged: one line in the log for each range. It is safe for
// concurrent use.
type damageLog struct {
	log  *slog.Logger
	name func(record.ReplicaID) (topic string, p record.Partition, class state.Class)
	tell func(record.ReplicaID, error) // hears of each new range, and must not block; nil: nobody

	mu       sync.Mutex
	of       map[record.ReplicaID][]DamagedRange // by First
	all      int
	unlisted map[record.ReplicaID]int
}

func newDamageLog(log *slog.Logger, name func(record.ReplicaID) (string, record.Partition, state.Class)) *damageLog {
	return &damageLog{
		log: log, name: name, of: map[record.ReplicaID][]DamagedRange{}, unlisted: map[record.ReplicaID]int{},
	}
}

// known returns the range that holds an entry.
func (l *damageLog) known(id record.ReplicaID, index uint64) (DamagedRange, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.of[id] {
		if d.First <= index && index <= d.Last {
			return d, true
		}
	}
	return DamagedRange{}, false
}

// add remembers a range, and tells the log of it the first time.
func (l *damageLog) add(id record.ReplicaID, d DamagedRange, err error) DamagedRange {
	topic, p, class := l.name(id)
	d.Topic, d.Partition, d.Class, d.Err, d.replica = topic, p, class.String(), err.Error(), id
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.of[id] {
		k := &l.of[id][i]
		if k.Last+1 == d.First && k.First > 0 { // a long one, that was measured in pieces
			k.Last, k.To = d.Last, d.To
		}
		if k.First <= d.First && d.Last <= k.Last {
			return *k
		}
	}
	if len(l.of[id]) >= maxRangesOfOne || l.all >= maxRangesOfAll {
		l.unlisted[id]++
		return d
	}
	l.all++
	l.of[id] = append(l.of[id], d)
	slices.SortFunc(l.of[id], func(a, b DamagedRange) int { return cmp.Compare(a.First, b.First) })
	l.log.Error("damage found: what is in this range cannot be read", "topic", topic, "partition", p,
		"offset", d.From, "to", d.To, "first_index", d.First, "last_index", d.Last, "class", d.Class,
		"code", fault.CodeOf(err).String(), "err", err)
	if l.tell != nil {
		l.tell(id, err)
	}
	return d
}

// count is how many ranges of a replica were found.
func (l *damageLog) count(id record.ReplicaID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.of[id]) + l.unlisted[id]
}

// total is how many ranges were found, over all replicas.
func (l *damageLog) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.all
	for _, more := range l.unlisted {
		n += more
	}
	return n
}

// listed is how many of them are remembered one by one.
func (l *damageLog) listed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// list returns the remembered ranges, by topic, partition and place.
func (l *damageLog) list() []DamagedRange {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []DamagedRange{}
	for _, ds := range l.of {
		out = append(out, ds...)
	}
	slices.SortFunc(out, func(a, b DamagedRange) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.First, b.First))
	})
	return out
}

// forget drops what is known of a replica that has gone for good.
func (l *damageLog) forget(id record.ReplicaID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all -= len(l.of[id])
	delete(l.of, id)
	delete(l.unlisted, id)
}

// watchedStore is the log store as the member's readers see it: damage that a reader meets is measured and
// remembered, and costs the reader no more than what is damaged.
type watchedStore struct {
	state.LogStore
	damage *damageLog
}

// Load implements state.LogStore.
func (w *watchedStore) Load(id record.ReplicaID) (state.Tail, []state.Row, error) {
	tail, rows, err := w.LogStore.Load(id)
	if fault.CodeOf(err) == fault.CorruptRecord {
		w.damage.add(id, DamagedRange{From: -1, To: -1}, err)
	}
	return tail, rows, err
}

// Entries implements state.LogStore. What stands before a damaged entry is returned without an error; the
// next call meets the damage.
func (w *watchedStore) Entries(
	id record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry,
) ([]state.Entry, error) {
	got, err := w.LogStore.Entries(id, lo, hi, maxBytes, dst)
	if fault.CodeOf(err) != fault.CorruptRecord || len(got) > len(dst) {
		if len(got) > len(dst) && fault.CodeOf(err) == fault.CorruptRecord {
			err = nil
		}
		return got, err
	}
	if got, one := w.LogStore.Entries(id, lo, lo+1, 1, dst); one == nil {
		return got, nil
	}
	return dst, w.found(id, lo, err)
}

// Lend implements state.Lender, as Entries does.
func (w *watchedStore) Lend(
	id record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry, loan *state.Loan,
) ([]state.Entry, error) {
	lender, ok := w.LogStore.(state.Lender)
	if !ok {
		return w.Entries(id, lo, hi, maxBytes, dst)
	}
	got, err := lender.Lend(id, lo, hi, maxBytes, dst, loan)
	if fault.CodeOf(err) != fault.CorruptRecord {
		return got, err
	}
	if len(got) > len(dst) {
		return got, nil
	}
	if got, one := w.LogStore.Entries(id, lo, lo+1, 1, dst); one == nil {
		return got, nil
	}
	return dst, w.found(id, lo, err)
}

// found measures the damage around an entry and returns what its reader is told.
func (w *watchedStore) found(id record.ReplicaID, index uint64, err error) error {
	d, ok := w.damage.known(id, index)
	if !ok {
		d = w.damage.add(id, w.extent(id, index), err)
	}
	refusal := fault.New(fault.CorruptRecord, "%s cannot be read: %w", d, err)
	if d.To >= 0 {
		return refusal.WithHint("what is behind it can be read from offset %d on; millstream doctor says more", d.To+1)
	}
	return refusal.WithHint("millstream doctor says more")
}

// extent looks for whole entries on both sides of a damaged one.
func (w *watchedStore) extent(id record.ReplicaID, index uint64) DamagedRange {
	d := DamagedRange{First: index, Last: index, From: -1, To: -1}
	for range maxAround {
		e, err := w.one(id, d.First-1)
		if err == nil {
			d.From = e.Next()
			d.First = max(d.First, e.Through()+1)
		}
		if fault.CodeOf(err) != fault.CorruptRecord {
			break
		}
		d.First--
	}
	for range maxAround {
		e, err := w.one(id, d.Last+1)
		if err == nil {
			d.To = e.Base - 1
		}
		if fault.CodeOf(err) != fault.CorruptRecord {
			break
		}
		d.Last++
	}
	return d
}

// one reads one entry.
func (w *watchedStore) one(id record.ReplicaID, index uint64) (state.Entry, error) {
	got, err := w.LogStore.Entries(id, index, index+1, 1, nil)
	if err == nil && len(got) == 0 {
		err = fault.New(fault.CorruptRecord, "entry %d of replica %d is missing", index, id)
	}
	if err != nil {
		return state.Entry{}, err
	}
	return got[0], nil
}

// Seek implements state.LogStore. Damage on the way does not matter to where an offset behind it stands.
func (w *watchedStore) Seek(id record.ReplicaID, o record.Offset) (uint64, error) {
	index, err := w.LogStore.Seek(id, o)
	if fault.CodeOf(err) != fault.CorruptRecord {
		return index, err
	}
	return w.search(id, func(e state.Entry) bool { return e.Last >= o }, func(e state.Entry) bool { return e.Base <= o })
}

// SeekTime implements state.LogStore. Where the record that is looked for may be among damaged ones, it is
// they that are found.
func (w *watchedStore) SeekTime(id record.ReplicaID, ms int64) (uint64, error) {
	index, err := w.LogStore.SeekTime(id, ms)
	if fault.CodeOf(err) != fault.CorruptRecord {
		return index, err
	}
	return w.search(id, func(e state.Entry) bool { return e.MaxTimestampMs >= ms }, func(state.Entry) bool { return false })
}

// search returns the first index whose entry holds, or Last+1, and steps around damaged entries: those before
// the one that holds are found in its place, unless its reader is sure to want none of them.
func (w *watchedStore) search(id record.ReplicaID, holds, sure func(state.Entry) bool) (uint64, error) {
	tail, _, err := w.LogStore.Load(id)
	if err != nil {
		return 0, err
	}
	lo, hi, end := tail.First, tail.Last+1, tail.Last+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		e, at, err := w.whole(id, mid, hi)
		switch {
		case err != nil:
			return 0, err
		case at == hi || holds(e):
			hi = mid
		default:
			lo = max(at, e.Through()) + 1
		}
	}
	e, at, err := w.whole(id, lo, end)
	if err == nil && at < end && sure(e) {
		return at, nil
	}
	return lo, err
}

// whole returns the first entry of [from, to) that verifies, and its index, which is to where there is none.
func (w *watchedStore) whole(id record.ReplicaID, from, to uint64) (e state.Entry, at uint64, err error) {
	for at = from; at < to; at++ {
		if e, err = w.one(id, at); fault.CodeOf(err) != fault.CorruptRecord {
			return e, at, err
		}
	}
	return e, to, nil
}
