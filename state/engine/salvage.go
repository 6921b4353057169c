package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// salvageBytes is the size of a rewrite's transactions.
const salvageBytes = 2 << 20

// errUnfit says that a bucket cannot be rewritten and stays as it is.
var errUnfit = errors.New("the bucket is left as it is")

// salvageOne rewrites the sealed bucket of which the smallest part is alive, if that part is below the
// configured one, or if the sealed buckets together hold more than twice what is alive in them.
func (c *class) salvageOne(sv *survey) (bool, error) {
	if c.s.o.SalvageBelow < 0 {
		return false, nil
	}
	var worst *handle
	var live, whole int64
	least := 1.0
	for _, h := range sv.sealed(c.id) {
		p := sv.parts[h]
		if p.kept || len(p.live) == 0 {
			continue
		}
		if err := h.weigh(p.live); err != nil {
			return false, err
		}
		w := &h.weight
		live, whole = live+w.live, whole+w.whole
		if f := float64(w.live) / float64(w.whole); f < least && !w.stays() {
			worst, least = h, f
		}
	}
	if worst == nil || (least >= c.s.o.SalvageBelow && (whole <= 2*live || least >= 0.5)) {
		return false, nil
	}
	return c.salvage(worst, sv.parts[worst])
}

// salvage rewrites one bucket. It reports false, and says so in the log, where that has to wait or cannot be
// done at all.
func (c *class) salvage(h *handle, p *part) (bool, error) {
	log := c.s.o.Logger.With("class", c.id.String(), "bucket", h.id.String())
	if err := c.s.space.check(groupSize{valueBytes: 2 * h.weight.live}); err != nil {
		log.Warn("bucket not rewritten: no room for the copy", "err", err)
		return false, nil
	}
	copied, err := c.rewrite(h, p.live)
	switch {
	case errors.Is(err, errUnfit):
		log.Warn("bucket not rewritten", "err", err)
		h.weight.unfit = h.weight.live
		return false, nil
	case err != nil:
		return false, err
	}
	before := h.weight.whole
	done, err := c.replace(h, copied, p.dead)
	if err != nil { // the manifest may name the copy: it must stay
		return false, errors.Join(err, copied.retire())
	}
	if !done {
		return false, errors.Join(copied.retire(), c.vol.remove(copied.id.String()))
	}
	after := copied.weight.made
	log.Info("log bucket rewritten", "bytes", before, "kept", after)
	c.s.o.Observer.BucketRewritten(c.id, before, after)
	return true, nil
}

// rewrite copies what is alive into a bucket of the next generation, and checks the copy as it will be read.
// Until the manifest names it, it is a leftover that the next start removes.
func (c *class) rewrite(h *handle, live []extent) (*handle, error) {
	id := h.id
	id.generation++
	b, err := c.vol.create(id)
	if err != nil {
		return nil, c.s.fence(err)
	}
	drop := func(b bucket, err error) error {
		return errors.Join(err, b.close(), c.vol.remove(id.String()))
	}
	w := &rewriter{s: c.s, from: h, to: b, t: newTxn(0)}
	for _, x := range live {
		if err := w.replica(x); err != nil {
			return nil, drop(b, err)
		}
	}
	if err := w.flush(); err != nil {
		return nil, drop(b, err)
	}
	if err := b.close(); err != nil {
		return nil, c.s.fence(err)
	}
	if b, err = c.vol.open(id, false); err != nil {
		return nil, c.s.fence(err)
	}
	n := newSealed(id, c.vol, b)
	n.weight.made = w.bytes
	for _, x := range live {
		if err := w.verify(n, x); err != nil {
			return nil, drop(b, fmt.Errorf("%w: its copy of replica %d: %w", errUnfit, x.id, err))
		}
	}
	return n, n.loadSpans()
}

// rewriter copies rows from a sealed bucket into a new one.
type rewriter struct {
	s     *Store
	from  *handle
	to    bucket
	t     *txn
	size  groupSize
	bytes int64 // copied so far
}

// salvageLimits bound a rewrite's transactions.
var salvageLimits = limits{rows: groupRows, valueBytes: salvageBytes, inlineBytes: groupInlineBytes}

// replica copies one replica's part: its entries, the hints that lead to them, and its span. It has no tail
// row there, so nothing of the copy can ever pass for newer than it is.
func (w *rewriter) replica(x extent) error {
	for _, k := range []kind{kindByOffset, kindByTime, kindEntry} {
		if err := w.rows(x, k); err != nil {
			return err
		}
	}
	key := makeKey(x.id, kindSpan, 0)
	return w.add(key, encodeSpan(key, x.span))
}

// rows copies the rows of one kind. The source is left between transactions, so that whoever wants to close
// it never waits for a write.
func (w *rewriter) rows(x extent, k kind) error {
	prefix := makeKey(x.id, k, 0)[:keyAtIndex]
	next := makeKey(x.id, k, 0)
	if k == kindEntry {
		next = makeKey(x.id, k, x.lo)
	}
	seen := x.lo
	for next != nil {
		from := next
		next = nil
		err := w.from.read(func(b bucket) error {
			return b.scan(prefix, from, func(key, value []byte) (bool, error) {
				ok, err := w.wanted(x, k, key, value, &seen)
				if err != nil || (!ok && k == kindEntry) {
					return false, err
				}
				if ok {
					if !w.fits(len(value)) {
						next = append([]byte{}, key...)
						return false, nil
					}
					w.put(key, append([]byte{}, value...))
				}
				return true, nil
			})
		})
		if err != nil {
			return err
		}
		if next != nil {
			if k == kindEntry {
				seen = keyIndex(next)
			}
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	if k == kindEntry && seen != x.hi+1 {
		return fmt.Errorf("%w: entry %d of replica %d is lost", errUnfit, seen, x.id)
	}
	return nil
}

// wanted reports whether a row is part of the extent. Entries must be whole and without a gap: damage is
// evidence, and a rewrite would make it final.
func (w *rewriter) wanted(x extent, k kind, key, value []byte, seen *uint64) (bool, error) {
	if k != kindEntry {
		to, ok := decodeHint(key, value)
		return ok && to >= x.lo && to <= x.hi, nil
	}
	i := keyIndex(key)
	if i > x.hi {
		return false, nil
	}
	if i != *seen {
		return false, fmt.Errorf("%w: entry %d of replica %d is lost", errUnfit, *seen, x.id)
	}
	if _, err := openEntry(value, i, false); err != nil {
		return false, fmt.Errorf("%w: entry %d of replica %d: %w", errUnfit, i, x.id, err)
	}
	*seen++
	return true, nil
}

// verify reads one replica's part back from the copy.
func (w *rewriter) verify(n *handle, x extent) error {
	if sp, err := n.span(x.id); err != nil || sp != x.span {
		return fault.New(fault.StorageError, "the span is %+v, not %+v: %w", sp, x.span, err)
	}
	next := x.lo
	from := makeKey(x.id, kindEntry, 0)
	err := n.read(func(b bucket) error {
		return b.scan(from[:keyAtIndex], from, func(key, value []byte) (bool, error) {
			if _, err := openEntry(value, next, false); err != nil {
				return false, err
			}
			next++
			return true, nil
		})
	})
	if err == nil && next != x.hi+1 {
		err = fault.New(fault.StorageError, "it ends before entry %d, not behind %d", next, x.hi)
	}
	return err
}

// fits reports whether a row fits into the transaction. A single large one goes alone.
func (w *rewriter) fits(n int) bool {
	one := groupSize{}
	one.add(n)
	return len(w.t.rows) == 0 || w.size.plus(one).within(salvageLimits)
}

func (w *rewriter) put(key, value []byte) {
	w.size.add(len(value))
	w.t.add(w.t.key(keyReplica(key), keyKind(key), keyIndex(key)), value)
}

func (w *rewriter) add(key, value []byte) error {
	if !w.fits(len(value)) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.put(key, value)
	return nil
}

// flush writes the transaction and waits until the rate allows for the next.
func (w *rewriter) flush() error {
	if len(w.t.rows) == 0 {
		return nil
	}
	if err := w.to.append(w.t.rows); err != nil {
		return w.s.fence(err)
	}
	due := time.Duration(float64(w.t.bytes) / float64(w.s.o.SalvageRate) * float64(time.Second))
	w.bytes += w.t.bytes
	w.t, w.size = newTxn(0), groupSize{}
	if !w.s.rest(due) {
		return errClosing()
	}
	return nil
}
