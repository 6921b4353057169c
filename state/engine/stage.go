package engine

import (
	"bytes"
	"errors"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// txn gathers the rows of one group and what they will make of the replicas in it.
type txn struct {
	rows     []row
	keys     []byte // one array for all keys
	bytes    int64
	order    []*staging // in the order in which the replicas came
	replicas map[record.ReplicaID]*staging
	firm     bool          // it must be durable before it is acknowledged
	within   time.Duration // the shortest time that a write gives
}

func newTxn(rows int64) *txn {
	return &txn{
		rows: make([]row, 0, rows), keys: make([]byte, 0, rows*keySize),
		replicas: map[record.ReplicaID]*staging{},
	}
}

func (t *txn) key(r record.ReplicaID, k kind, index uint64) []byte {
	from := len(t.keys)
	t.keys = appendKey(t.keys, r, k, index)
	return t.keys[from:len(t.keys):len(t.keys)]
}

func (t *txn) add(key, value []byte) {
	t.rows = append(t.rows, row{key, value})
	t.bytes += int64(len(key) + len(value))
}

// mark adds the row that says that a group is there. Other than the group row it is never replaced, so that a
// group that is missing between others is seen.
func (t *txn) mark(sequence uint64) {
	key := t.key(classRows, kindMark, sequence)
	t.add(key, sealRow(key, make([]byte, rowHeader)))
}

// stage turns the group's writes into rows. A write that cannot be made is left out with its reason in
// item.err. full is why there is no room for bulky ones; nil where there is.
func (c *class) stage(g *group, full error) (*txn, error) {
	t := newTxn(g.size.rows + 2)
	most := c.active.b.most()
	for _, it := range g.items {
		if it.err != nil {
			continue
		}
		st := t.replicas[it.w.Replica]
		moved := false
		if st == nil {
			st, moved = c.begun(it.w.Replica)
		}
		if it.err = c.admit(st, it, most, full); it.err != nil {
			continue
		}
		if moved {
			if it.err = c.firmBefore(st.id); it.err != nil {
				continue
			}
		}
		cut, err := c.cutRun(st, it)
		if err != nil {
			return nil, err
		}
		if it.err != nil {
			continue
		}
		if t.replicas[st.id] == nil {
			t.replicas[st.id] = st
			t.order = append(t.order, st)
		}
		if moved {
			if err := c.adopt(t, st.id); err != nil {
				return nil, err
			}
		}
		t.hurry(st, it.w, moved || cut != nil)
		w := it.w
		if cut != nil {
			w.Entries = append([]state.Entry{*cut}, w.Entries...)
		}
		c.stageWrite(t, st, w)
	}
	return t, nil
}

// begun returns the replica as it is now, and whether this is its first write since it lived in another
// class.
func (c *class) begun(id record.ReplicaID) (st *staging, moved bool) {
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	r := c.s.replicas[id]
	st = &staging{id: id, tail: r.tail, version: r.version, classes: r.classes | 1<<c.id}
	if r.known && r.home == c.id {
		st.sinceHint = r.sinceHint
		st.span, _ = c.active.span(id) // complete in memory: no error
	}
	return st, r.known && r.home != c.id
}

// admit says whether the write can be made, and remembers a refusal for the writes that build on it.
func (c *class) admit(st *staging, it *item, most limits, full error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	r := c.s.replicas[st.id]
	if r.damage != nil {
		return r.damage
	}
	if err := c.s.lostBy(st.classes); err != nil {
		return err
	}
	if err := st.check(it.w); err != nil {
		if r.refused != nil {
			return r.refused
		}
		return err
	}
	if full != nil && it.bulky() {
		r.refused = full
		return full
	}
	if !it.size.within(most) {
		r.refused = fault.New(fault.RecordTooLarge, "a write of replica %d has %d rows, %d bytes of entries "+
			"and %d bytes of keys and small values; a group holds %d, %d and %d", st.id, it.size.rows,
			it.size.valueBytes, it.size.inlineBytes, most.rows, most.valueBytes, most.inlineBytes).
			WithHint("send smaller batches")
		return r.refused
	}
	r.refused = nil
	return nil
}

// adopt brings the carried rows of a replica along from the class that it leaves, so that its home has
// everything.
func (c *class) adopt(t *txn, id record.ReplicaID) error {
	for {
		c.s.mu.RLock()
		from := c.s.carries(c.s.replicas[id])
		c.s.mu.RUnlock()
		err := eachCarried(from, id, func(key, value []byte) {
			t.add(t.key(id, kindRow, keyIndex(key)), append([]byte{}, value...))
		})
		if !errors.Is(err, errGone) { // given back since it was the active one
			return err
		}
	}
}

// eachCarried calls fn with each carried row of a replica as it is stored. The slices are valid inside fn
// only.
func eachCarried(h *handle, id record.ReplicaID, fn func(key, value []byte)) error {
	prefix := makeKey(id, kindRow, 0)[:keyAtIndex]
	return h.read(func(b bucket) error {
		return b.scan(prefix, prefix, func(k, v []byte) (bool, error) {
			fn(k, v)
			return true, nil
		})
	})
}

// stageWrite adds the rows of one write. Frames go down as they are.
func (c *class) stageWrite(t *txn, st *staging, w state.Write) {
	st.version++
	conf := st.tail.Conf
	st.tail = w.Tail
	if st.tail.Conf = conf; !bytes.Equal(conf, w.Tail.Conf) {
		st.tail.Conf = bytes.Clone(w.Tail.Conf) // the tail outlives the write
	}
	for _, e := range w.Entries {
		t.add(t.key(st.id, kindEntry, e.Index), e.Frame)
		begins := st.span.lo == 0
		if begins || e.Index < st.span.lo {
			st.span.lo, st.span.base, st.span.maxTimeMs = e.Index, e.Base, e.MaxTimestampMs
		}
		if begins {
			st.span.version = st.version
		}
		st.sinceHint += int64(len(e.Frame))
		if begins || st.sinceHint >= hintEvery {
			st.sinceHint = 0
			c.stageHints(t, st.id, e)
		}
	}
	for _, r := range w.Carried {
		key := t.key(st.id, kindRow, uint64(r.Kind))
		t.add(key, encodeOpaque(key, r.Value))
	}
}

// stageHints adds the rows that lead from an offset and from a time to the entry. They are never deleted: a
// hint to an entry that was truncated is found out by whoever follows it.
func (c *class) stageHints(t *txn, id record.ReplicaID, e state.Entry) {
	for _, key := range hintKeys(id, e) {
		t.add(key, encodeHint(key, e.Index))
	}
}

// hintKeys are the keys of an entry's hints.
func hintKeys(id record.ReplicaID, e state.Entry) [][]byte {
	keys := [][]byte{makeKey(id, kindByTime, timeIndex(e.MaxTimestampMs))}
	if e.Base >= 0 {
		keys = append(keys, makeKey(id, kindByOffset, uint64(e.Base)))
	}
	return keys
}
