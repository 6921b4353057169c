package engine

import (
	"github.com/millstream-io/millstream/proto/record"
)

// bucketSlack is what a bucket may take beside its rows before that counts as dead weight: the frame file
// begins and ends with a block, and the index has tables with a footer each.
const bucketSlack = 32 << 10

// weight remembers how much of a sealed bucket is alive, so that only what has changed is counted again.
type weight struct {
	counted map[record.ReplicaID]counted
	live    int64 // bytes that a rewrite would keep
	whole   int64 // bytes of the bucket's files
	made    int64 // bytes that were alive when the bucket was rewritten; 0 = it was not, or it is not known
	unfit   int64 // bytes that were alive when a rewrite found damage among them
}

// counted is the size of one replica's live part of the bucket. from is the index under which its first entry
// stands: below lo where that is a run.
type counted struct {
	lo, from, hi uint64
	bytes        int64
}

// stays reports whether a rewrite is no use now: what the bucket has beside its rows would be there again, or
// the damage that was in the way is most likely still alive.
func (w *weight) stays() bool {
	return 4*w.live > 3*w.made && w.made > 0 || w.damaged()
}

// damaged reports whether a rewrite came upon damage that is most likely still alive.
func (w *weight) damaged() bool { return 2*w.live > w.unfit && w.unfit > 0 }

// weigh counts what of the bucket is alive. It reads keys and no values, and of them only those that were not
// counted before or have died since.
func (h *handle) weigh(live []extent) error {
	w := &h.weight
	if w.whole == 0 {
		n, err := h.vol.size(h.id)
		if err != nil {
			return err
		}
		w.whole = max(1, n-bucketSlack)
	}
	fresh := make(map[record.ReplicaID]counted, len(live))
	w.live = 0
	for _, x := range live {
		n, err := h.weighOne(w.counted[x.id], x)
		if err != nil {
			return err
		}
		fresh[x.id] = n
		w.live += n.bytes
	}
	w.counted = fresh
	return nil
}

// weighOne counts one extent from what was counted before: entries that have died at its beginning are taken
// off. Where it changed in another way it is counted anew.
func (h *handle) weighOne(before counted, x extent) (counted, error) {
	if before.hi == x.hi && x.lo == before.lo {
		return before, nil
	}
	n := counted{lo: x.lo, hi: x.hi}
	err := h.read(func(b bucket) error {
		key, err := beginning(b, x.id, x.lo)
		if err == nil {
			n.from = keyIndex(key)
		}
		return err
	})
	if err != nil {
		return n, err
	}
	if before.hi != x.hi || x.lo < before.lo {
		n.bytes, err = h.bytesOf(x.id, n.from, x.hi)
		return n, err
	}
	n.bytes = before.bytes
	if n.from > before.from {
		gone, err := h.bytesOf(x.id, before.from, n.from-1)
		n.bytes -= gone
		return n, err
	}
	return n, nil
}

// bytesOf adds the rows of entries [lo, hi] up.
func (h *handle) bytesOf(id record.ReplicaID, lo, hi uint64) (n int64, err error) {
	from := makeKey(id, kindEntry, lo)
	err = h.read(func(b bucket) error {
		return b.sizes(from[:keyAtIndex], from, func(key []byte, size int64) bool {
			if keyIndex(key) > hi {
				return false
			}
			n += keySize + size
			return true
		})
	})
	return n, err
}
