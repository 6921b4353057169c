package replica

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/compaction"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// DefaultKeyBytes is how much memory the keys of all passes of log compaction may take that share a Kind, in
// bytes, unless Ports.Keys says otherwise.
const DefaultKeyBytes = 64 << 20

const (
	learnChunk = 1 << 20 // bytes of one read of a pass, and of one job on the pool, which others need too

	// After each job a pass pauses for so many times as long as it took, within bounds: it has an eighth of the time,
	// and never asks more than 160 MB/s of the disk.
	learnPauses = 7
	leastPause  = 6 * time.Millisecond
	mostPause   = 100 * time.Millisecond
)

// passKeys is what a pass asks for: what it gets the first time. A pass with less goes less far.
var passKeys = [...]int{16 << 20, 4 << 20, 1 << 20}

// keyMemory is a budget of bytes that passes of several replicas share.
type keyMemory struct{ free atomic.Int64 }

func newKeyMemory(bytes int64) *keyMemory {
	m := &keyMemory{}
	m.free.Store(bytes)
	return m
}

// acquire is the Keys port.
func (m *keyMemory) acquire(bytes int) (release func(), ok bool) {
	if m.free.Add(-int64(bytes)) < 0 {
		m.free.Add(int64(bytes))
		return nil, false
	}
	return func() { m.free.Add(int64(bytes)) }, true
}

// lease is memory that is given back once, at the latest when nobody knows of it any more: a life that
// crashes cannot say goodbye.
type lease struct{ back *giveBack }

type giveBack struct {
	done    atomic.Bool
	release func()
}

func (g *giveBack) once() {
	if g.done.CompareAndSwap(false, true) {
		g.release()
	}
}

func newLease(release func()) *lease {
	l := &lease{&giveBack{release: release}}
	runtime.AddCleanup(l, (*giveBack).once, l.back)
	return l
}

// pass is one pass over the log: first it learns the newest offset of each key, then the store drops the
// rest.
type pass struct {
	partition.Compact
	by     state.Incarnation
	at     uint64 // the next entry to learn from
	keys   *compaction.Builder
	memory *lease
}

// learned says that a pass has read some of the log, and has more to read; rested that it may.
type learned struct {
	pass  *pass
	began time.Time
}
type rested struct{ pass *pass }

// pause is how long the pass rests.
func (l learned) pause(now time.Time) time.Duration {
	return min(max(learnPauses*now.Sub(l.began), leastPause), mostPause)
}

// planned says that a pass knows what stays.
type planned struct {
	pass *pass
	plan *compaction.Plan
}

// compact begins a pass, unless others have all the memory.
func (s *shell) compact(c actors.Context, k partition.Compact) {
	for _, bytes := range passKeys {
		release, ok := s.p.Keys(bytes)
		if !ok {
			continue
		}
		s.learn(c, &pass{
			Compact: k, by: s.by, at: max(k.First, k.Cleaned+1),
			keys: compaction.NewBuilder(k.Cleaned, bytes), memory: newLease(release),
		})
		return
	}
	s.post(partition.Compacted{By: s.by, Err: fault.New(fault.ThrottlingQuotaExceeded,
		"other partitions have all the memory for the keys of log compaction")})
}

// learn goes on with a pass on the pool, one chunk after the other so that others come in between.
func (s *shell) learn(c actors.Context, p *pass) {
	if s.core == nil {
		p.memory.back.once()
		return
	}
	store, id := s.p.Store, s.p.Config.ID
	began := c.Now()
	c.Go(func() any {
		more, err := p.read(store, id)
		switch {
		case err != nil:
			p.memory.back.once()
			return partition.Compacted{By: p.by, Err: err}
		case more:
			return learned{p, began}
		}
		return planned{p, p.keys.Plan(p.Tombstones, p.End)}
	})
}

// read reads a chunk of the log and reports whether there is more to learn.
func (p *pass) read(store state.LogStore, id record.ReplicaID) (more bool, err error) {
	if p.at > p.Through {
		return false, nil
	}
	entries, err := store.Entries(id, p.at, p.Through+1, learnChunk, nil)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if full, err := p.keys.Add(e); full || err != nil {
			return false, err
		}
		p.at = e.Through() + 1
	}
	return p.at <= p.Through, nil
}

// rewrite lets the store drop what a plan does not keep.
func (s *shell) rewrite(p planned) {
	k := state.Compaction{Replica: s.p.Config.ID, Through: p.plan.Through(), Keep: p.plan.Keep}
	post, by, memory := s.post, p.pass.by, p.pass.memory
	s.p.Store.Compact(k, func(r state.CompactionResult, err error) {
		memory.back.once()
		post(partition.Compacted{
			By: by, Through: r.Through, Facts: p.plan.Facts(), Before: r.Before, After: r.After, Err: err,
		})
	})
}
