package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// rewriteBytes is the size of a rewrite's transactions, and syncEvery what is written before it is made durable. That
// nothing has to be durable before the copy is closed lets them be small: a group of those who write waits for one.
const (
	rewriteBytes = 256 << 10
	syncEvery    = 2 << 20
)

// rewriteLimits bound them.
var rewriteLimits = limits{rows: groupRows, valueBytes: rewriteBytes, inlineBytes: groupInlineBytes}

// errUnfit says that a bucket cannot be rewritten and stays as it is.
var errUnfit = errors.New("the bucket is left as it is")

// source is a sealed bucket and what of it goes into a copy.
type source struct {
	h    *handle
	live []extent
}

// share is what one replica has in a copy: entries [lo, hi], from one bucket or from several that follow each
// other.
type share struct {
	id     record.ReplicaID
	lo, hi uint64
	span   span
	from   []piece
}

// shares puts together what each replica has in the sources, oldest first, in the order of replicas. What a
// replica has in several must follow each other. Its span then begins where the oldest does, and is as new as
// the newest: it hides what was between them, which is dead.
func shares(from []source) []share {
	at := map[record.ReplicaID]*share{}
	for _, src := range from {
		for _, x := range src.live {
			p := piece{h: src.h, lo: x.lo, hi: x.hi}
			s := at[x.id]
			if s == nil {
				at[x.id] = &share{id: x.id, lo: x.lo, hi: x.hi, span: x.span, from: []piece{p}}
				continue
			}
			must(s.hi+1 == x.lo, "replica %d has [%d, %d] and then [%d, %d]", s.id, s.lo, s.hi, x.lo, x.hi)
			s.hi, s.from, s.span.version = x.hi, append(s.from, p), x.span.version
		}
	}
	var all []share
	for _, id := range slices.Sorted(maps.Keys(at)) {
		all = append(all, *at[id])
	}
	return all
}

// swap puts one copy in the place of sealed buckets that stand together; they have been weighed. It reports
// false where one of their dead replicas came back to life. Errors: fault.DiskFull, and those of rewrite;
// with these nothing has changed.
func (c *class) swap(from []source, dead deaths, ks []*compaction) (bool, error) {
	var old []*handle
	var live, before int64
	id := from[len(from)-1].h.id
	for _, src := range from {
		old = append(old, src.h)
		live, before = live+src.h.weight.live, before+src.h.weight.whole
		id.generation = max(id.generation, src.h.id.generation)
	}
	id.generation++
	if err := c.s.space.check(groupSize{valueBytes: 2 * live}); err != nil {
		return false, err
	}
	copied, err := c.rewrite(id, from, ks)
	if err != nil {
		return false, err
	}
	done, err := c.replace(old, copied, dead)
	if err != nil { // the manifest may name the copy: it must stay
		return false, errors.Join(err, copied.retire())
	}
	if !done {
		return false, errors.Join(copied.retire(), c.vol.remove(copied.id.String()))
	}
	after := copied.weight.made
	c.s.o.Logger.Info("log bucket rewritten", "class", c.id.String(), "bucket", copied.id.String(), "from", len(old),
		"bytes", before, "kept", after)
	c.s.o.Observer.BucketRewritten(c.id, before, after)
	return true, nil
}

// rewrite copies what is alive into a new bucket, leaves out what the compactions among ks say, and checks
// the copy as it will be read. Until the manifest names it, it is a leftover that the next start removes.
// Errors: errUnfit for damage in the way; errKeep where a compaction failed.
func (c *class) rewrite(id bucketID, from []source, ks []*compaction) (*handle, error) {
	var b bucket
	err := c.s.slice(0, func() (err error) {
		b, err = c.vol.create(id)
		return err
	})
	if err != nil {
		return nil, c.s.fence(err)
	}
	c.s.space.forget()
	drop := func(b bucket, err error) error {
		return errors.Join(err, b.close(), c.vol.remove(id.String()))
	}
	w := &rewriter{s: c.s, to: b, t: newTxn(0)}
	all := shares(from)
	for _, sh := range all {
		w.k = nil
		if i := slices.IndexFunc(ks, func(k *compaction) bool { return k.Replica == sh.id }); i >= 0 {
			w.k = ks[i]
		}
		if err := w.share(sh); err != nil {
			return nil, drop(b, err)
		}
	}
	if err := errors.Join(w.flush(), w.sync()); err != nil {
		return nil, drop(b, err)
	}
	if err := c.s.slice(0, b.close); err != nil {
		return nil, c.s.fence(err)
	}
	err = c.s.slice(0, func() (err error) {
		b, err = c.vol.open(id, false)
		return err
	})
	if err != nil {
		return nil, c.s.fence(err)
	}
	n := newSealed(id, c.vol, b)
	n.weight.made = w.made
	for _, sh := range all {
		err := n.verify(c.s, sh)
		if c.s.stopping() {
			return nil, drop(b, errClosing())
		}
		if err != nil {
			return nil, drop(b, fmt.Errorf("%w: its copy of replica %d: %w", errUnfit, sh.id, err))
		}
	}
	return n, n.loadSpans()
}

// verify reads one replica's share back.
func (h *handle) verify(s *Store, sh share) error {
	if sp, err := h.span(sh.id); err != nil || sp != sh.span {
		return fault.New(fault.StorageError, "the span is %+v, not %+v: %w", sp, sh.span, err)
	}
	end := uint64(0)
	err := h.walk(s, sh.id, sh.lo, sh.hi, func(e state.Entry) error {
		if end = e.Through(); s.stopping() {
			return errClosing()
		}
		return nil
	})
	if err == nil && end != sh.hi {
		err = fault.New(fault.StorageError, "it ends with entry %d, not %d", end, sh.hi)
	}
	return err
}

// rewriter copies rows from sealed buckets into a new one.
type rewriter struct {
	s    *Store
	to   bucket
	t    *txn
	size groupSize
	wet  int64       // bytes that are not durable yet
	made int64       // bytes of entries so far, as they are weighed
	k    *compaction // of the replica that is being copied; nil: everything of it stays

	sinceHint int64 // bytes of its entries since the last hint

	// The run that is being put together: from first to last, nothing is left.
	running     bool
	first, last state.Entry
}

// share copies one replica's part: its entries, with new hints that lead to them, and its span. It has no
// tail row there, so nothing of the copy can ever pass for newer than it is.
func (w *rewriter) share(sh share) error {
	w.sinceHint = hintEvery // the first entry gets one
	for _, p := range sh.from {
		err := p.h.walk(w.s, sh.id, p.lo, p.hi, func(e state.Entry) error { return w.entry(sh.id, e) })
		if fault.CodeOf(err) == fault.CorruptRecord && !errors.Is(err, errKeep) {
			err = fmt.Errorf("%w: %w", errUnfit, err) // damage is evidence, and a rewrite would make it final
		}
		if err != nil {
			return err
		}
	}
	if err := w.endRun(sh.id); err != nil {
		return err
	}
	key := makeKey(sh.id, kindSpan, 0)
	return w.add(key, encodeSpan(key, sh.span))
}

// entry copies what is left of one entry. Neighbours of one term of which nothing is left become one run.
func (w *rewriter) entry(id record.ReplicaID, e state.Entry) error {
	kept, some := e, e.Type != state.EntryCompacted
	if some && w.k != nil && e.Index <= w.k.Through {
		var err error
		if kept, some, _, err = w.k.ask(e); err != nil {
			return err
		}
	}
	if w.k != nil && e.Index <= w.k.Through {
		w.k.before += int64(len(e.Frame))
	}
	if some {
		if err := w.endRun(id); err != nil {
			return err
		}
		return w.keep(id, kept)
	}
	if w.running && w.last.Term == e.Term {
		w.last = e
		return nil
	}
	if err := w.endRun(id); err != nil {
		return err
	}
	w.running, w.first, w.last = true, e, e
	return nil
}

// endRun copies the run that was put together, if there is one.
func (w *rewriter) endRun(id record.ReplicaID) error {
	if !w.running {
		return nil
	}
	w.running = false
	run := w.first
	if run.Type != state.EntryCompacted || w.last.Index != run.Index {
		run = state.Compacted(w.first, w.last)
	}
	return w.keep(id, run)
}

func (w *rewriter) keep(id record.ReplicaID, e state.Entry) error {
	if w.k != nil && e.Index <= w.k.Through {
		w.k.after += int64(len(e.Frame))
	}
	w.made += keySize + int64(len(e.Frame))
	if err := w.add(makeKey(id, kindEntry, e.Index), e.Frame); err != nil {
		return err
	}
	if w.sinceHint += int64(len(e.Frame)); w.sinceHint < hintEvery {
		return nil
	}
	w.sinceHint = 0
	for _, key := range hintKeys(id, e) {
		if err := w.add(key, encodeHint(key, e.Index)); err != nil {
			return err
		}
	}
	return nil
}

// fits reports whether a row fits into the transaction. A single large one goes alone.
func (w *rewriter) fits(n int) bool {
	one := groupSize{}
	one.add(n)
	return len(w.t.rows) == 0 || w.size.plus(one).within(rewriteLimits)
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
	n := w.t.bytes
	err := w.s.slice(w.s.pace(n), func() error {
		put := w.to.put
		if w.wet += n; w.wet >= syncEvery {
			put, w.wet = w.to.append, 0
		}
		if err := put(w.t.rows); err != nil {
			return w.s.fatal(err)
		}
		w.s.space.took(n)
		return nil
	})
	w.t, w.size = newTxn(0), groupSize{}
	if err == nil && w.s.stopping() {
		err = errClosing()
	}
	return err
}

// sync makes durable what was written.
func (w *rewriter) sync() error {
	if w.wet == 0 {
		return nil
	}
	w.wet = 0
	return w.s.slice(0, func() error {
		if err := w.to.sync(); err != nil {
			return w.s.fatal(err)
		}
		return nil
	})
}

// pace is how long the copying of some bytes may take at the least.
func (s *Store) pace(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / float64(s.o.SalvageRate) * float64(time.Second))
}
