package engine

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/dirlock"
)

// Store is the durable state.LogStore. Make one with Open; it is safe for concurrent use.
type Store struct {
	o       Options
	lock    *dirlock.Lock // of the directory; nil in memory
	space   *space
	classes [state.ClassCount]*class

	// background runs slow work beside the committers. A store that is driven by hand runs it at once.
	background func(func())
	byHand     bool
	wg         sync.WaitGroup

	fenced atomic.Pointer[fault.Error]
	broken chan struct{} // closed with the first storage error
	blocks *blockCache
	pacer  pacer

	removals atomic.Uint64 // counts how often buckets have been taken from a class
	tidying  sync.Mutex    // held by whoever gives space back
	untidy   chan struct{} // asks the janitor to look

	unrecorded chan struct{} // tells the recorder that a group was made durable
	quit       chan struct{} // closed when the store closes

	mu          sync.RWMutex
	replicas    map[record.ReplicaID]*replica
	live        map[record.ReplicaID]bool // as SetLive said; nil before its first call
	closing     bool
	compactions []*compaction // that wait
	patience    time.Duration // of Close with a fenced store
	closed      sync.Once
	closeErr    error
}

var _ state.LogStore = (*Store)(nil)

// replica is what the store knows of one replica without asking the disk. Everything is under Store.mu.
type replica struct {
	tail      state.Tail // newest durable
	version   uint64     // number of the newest durable write
	home      state.Class
	known     bool  // home, tail and version mean something
	classes   uint8 // bit per class the replica ever wrote to
	sinceHint int64 // payload bytes since the last hint in the active bucket
	absent    bool  // from the live set, since absentMs
	absentMs  int64
	damage    error       // of the tail row; such a replica is neither read nor written
	places    *readPlaces // where its readers are
	rescued   *handle     // where the tail was found and the carried rows are, after the active bucket lost them

	floor   state.Incarnation // writes of lower incarnations are refused
	queued  int               // writes that have not been settled
	queue   state.Class       // where they wait
	sent    uint64            // last index of the log as the newest of them will leave it
	refused error             // why the last write was refused; what builds on it is refused for the same reason
}

// lockName keeps a second store away from the directory, in this process and in others: opening a class tidies it up,
// which must never happen under a store that lives.
const lockName = "LOCK"

// Open opens the store in o.Dir and makes the directory if need be. Classes that have data are opened,
// which reads the tail rows of their active buckets; others are made by their first write. It blocks on the
// disk. Errors: fault.StorageError for a directory that is in use, of another format, or has lost or damaged
// parts, fault.InvalidConfig for options that cannot work. A replica with a damaged tail says so in Load.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fault.New(fault.StorageError, "make data directory: %w", err)
	}
	lock, err := dirlock.Take(filepath.Join(o.Dir, lockName))
	if err != nil {
		return nil, fault.New(fault.StorageError, "take the data directory %s: %w", o.Dir, err).
			WithHint("stop the process that has it open, or use another directory")
	}
	sp, err := openSpace(&o)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	s := newStore(o, sp)
	s.lock = lock
	s.background = func(f func()) {
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			f()
		}()
	}
	s.blocks = newBlockCache(o.ReadCache, s.background)
	s.blocks.busy = s.writersBusy
	for id := range state.ClassCount {
		v := &diskVolume{
			dir: filepath.Join(o.Dir, id.String()), o: o, fence: func(err error) { s.fence(err) },
			spare: s.space.left, blocks: s.blocks, relaxed: id == state.ClassRelaxed,
		}
		s.classes[id] = newClass(s, id, v)
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, c := range s.classes {
		s.wg.Add(1)
		go c.run()
	}
	s.wg.Add(2)
	go s.janitor()
	go s.recorder()
	s.look()
	return s, nil
}

func newStore(o Options, sp *space) *Store {
	return &Store{
		o: o, space: sp, pacer: pacer{p: newPace()}, patience: fencedPatience, replicas: map[record.ReplicaID]*replica{},
		untidy: make(chan struct{}, 1), unrecorded: make(chan struct{}, 1), quit: make(chan struct{}), broken: make(chan struct{}),
	}
}

// recover opens the classes that have data.
func (s *Store) recover() error {
	for _, c := range s.classes {
		there, err := c.vol.exists()
		if err != nil {
			return fault.New(fault.StorageError, "look for class %s: %w", c.id, err)
		}
		if !there {
			continue
		}
		if err := c.open(); err != nil {
			return err
		}
	}
	return s.fencedErr()
}

// Append implements state.LogStore. A write that breaks the log of its replica (a gap, frames without a
// header, a tail that does not fit) is refused with fault.InvalidRequest, one of an incarnation below the
// last Barrier with fault.FencedLeaderEpoch, and one that no group can hold with fault.RecordTooLarge: more
// bytes of entries than Options.MaxWriteBytes, or more than 2 MB of keys and values below 512 bytes.
// 1 MB of frames of any size always fits. After a refused write the ones that build on it are refused for the
// same reason. A replica that changes its class does so when all its writes to the old class have been
// settled. After Close done runs before Append returns.
func (s *Store) Append(c state.Class, w state.Write, done func(error)) {
	must(c < state.ClassCount, "class %d", c)
	it := &item{w: w, done: done, size: sizeOf(w), apart: hasRuns(w)}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		done(errClosing())
		return
	}
	r := s.replicaLocked(w.Replica)
	switch {
	case w.Replica == classRows:
		it.err = fault.New(fault.InvalidRequest, "replica id %d is taken by the store itself", w.Replica)
	case w.By < r.floor:
		it.err = fault.New(fault.FencedLeaderEpoch, "a write of incarnation %d of replica %d came after "+
			"incarnation %d", w.By, w.Replica, r.floor)
	case w.Within != 0 && (c != state.ClassRelaxed || w.Sync || w.Within < 0):
		it.err = fault.New(fault.InvalidRequest, "replica %d asks class %s for a write that is durable within %s, sync=%t",
			w.Replica, c, w.Within, w.Sync)
	case r.queued > 0 && r.queue != c:
		it.err = fault.New(fault.InvalidRequest, "replica %d has writes waiting in class %s and sends one to %s",
			w.Replica, r.queue, c)
	default:
		if r.cuts(w) {
			it.apart = true
			it.size.add(runBytes) // of what is left of one
		}
		r.queued++
		r.queue, r.sent = c, w.Tail.Last
		it.counted = true
	}
	s.classes[c].push(it)
	s.mu.Unlock()
}

// Barrier implements state.LogStore. done gets fault.StorageError where the store is fenced.
func (s *Store) Barrier(r record.ReplicaID, by state.Incarnation, done func(error)) {
	b := &barrier{done: done}
	b.left.Store(int32(len(s.classes)))
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		done(errClosing())
		return
	}
	rep := s.replicaLocked(r)
	rep.floor = max(rep.floor, by)
	for _, c := range s.classes {
		c.push(&item{barrier: b})
	}
	s.mu.Unlock()
}

// SetLive implements state.LogStore. A replica that is left out for Options.DeadAfter is dead for good: its
// data is given back, and the next roll forgets it. One that was never written is not: it may belong to a
// newer list than this.
func (s *Store) SetLive(live iter.Seq[record.ReplicaID]) {
	set := map[record.ReplicaID]bool{}
	for r := range live {
		set[r] = true
	}
	now := s.o.Now().UnixMilli()
	s.mu.Lock()
	s.live = set
	for id, r := range s.replicas {
		absent := r.known && !set[id]
		if absent && !r.absent {
			r.absentMs = now
		}
		r.absent = absent
	}
	s.mu.Unlock()
	s.look()
}

// deadLocked reports whether a replica has been out of the live set for so long that it will not come back.
// A list that lags behind, as while the metadata log is read again at start, kills nobody.
func (s *Store) deadLocked(r *replica, nowMs int64) bool {
	return r.absent && (s.o.DeadAfter < 0 || nowMs-r.absentMs >= s.o.DeadAfter.Milliseconds())
}

// Free implements state.LogStore.
func (s *Store) Free() int64 { return s.space.left() }

// Close implements state.LogStore. Writes that have not been settled are, so their done runs before Close
// returns; compactions are broken off. A fenced store that does not come to an end is left after 10 s, with
// fault.StorageError.
func (s *Store) Close() error {
	s.closed.Do(func() {
		s.mu.Lock()
		s.closing = true
		s.mu.Unlock()
		if s.byHand {
			s.closeErr = s.finish()
			return
		}
		s.closeErr = s.finishInTime()
	})
	return s.closeErr
}

// finish settles what is queued and closes the buckets.
func (s *Store) finish() error {
	close(s.quit)
	for _, c := range s.classes {
		c.stop()
	}
	s.wg.Wait()
	if s.byHand {
		for _, c := range s.classes {
			for c.step(true) {
			}
		}
	}
	s.refuseCompactions(errClosing())
	var errs []error
	for _, c := range s.classes {
		errs = append(errs, c.close())
	}
	s.blocks.close()
	s.wg.Wait() // closing may have fenced
	if s.lock != nil {
		errs = append(errs, s.lock.Release())
	}
	return errors.Join(errs...)
}

// fencedPatience is how long Close waits for a fenced store. Badger tries a failed flush again without end,
// so on a broken disk there may be no end to wait for.
const fencedPatience = 10 * time.Second

func (s *Store) finishInTime() error {
	finished := make(chan error, 1)
	go func() { finished <- s.finish() }()
	tick := time.NewTicker(fencedPatience / 100)
	defer tick.Stop()
	for waited := time.Duration(0); waited < s.patience; {
		select {
		case err := <-finished:
			return err
		case <-tick.C:
			if s.fencedErr() != nil {
				waited += fencedPatience / 100
			}
		}
	}
	return fault.New(fault.StorageError, "the fenced log store does not close: %w", s.fencedErr()).
		WithHint("end the process")
}

// replicaLocked returns the replica's place, making it if need be. A replica that appears after SetLive is
// live.
func (s *Store) replicaLocked(id record.ReplicaID) *replica {
	r := s.replicas[id]
	if r == nil {
		r = &replica{places: &readPlaces{}}
		s.replicas[id] = r
	}
	return r
}

// fence stops the store for good: after the first storage error nothing that the disk says can be trusted,
// and a failed sync cannot be tried again.
func (s *Store) fence(err error) *fault.Error {
	f := fault.New(fault.StorageError, "the log store is fenced: %w", err).
		WithHint("check the disk and restart the member")
	if !s.fenced.CompareAndSwap(nil, f) {
		return s.fenced.Load()
	}
	close(s.broken)
	s.o.Logger.Error("log store fenced", "err", err)
	for _, c := range s.classes {
		c.wake()
	}
	if s.o.OnFence != nil {
		s.background(func() { s.o.OnFence(f) })
	}
	return f
}

func (s *Store) fencedErr() error {
	if f := s.fenced.Load(); f != nil {
		return f
	}
	return nil
}
