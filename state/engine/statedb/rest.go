package statedb

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/millstream-io/millstream/proto/fault"
)

// use says who uses the Badger of a database, and how much. A database that nobody has used for a while rests: its
// Badger is closed, which gives back memory, goroutines and timers, and is opened again by who comes next. What is
// known of the newest version and its mark stays.
type use struct {
	mu     sync.Mutex
	inside int   // calls that use Badger; it stays open for them
	memory int64 // of a memtable, 0 while the database rests

	touched atomic.Bool  // since somebody looked after the database
	written atomic.Int64 // bytes, since then
	quiet   int          // times in a row that somebody looked and it was not touched; the tender's own
}

func (u *use) touch() {
	if !u.touched.Load() { // most calls find it so, and leave the cache line to others
		u.touched.Store(true)
	}
}

// took notes the size of a memtable; mu is locked, or nobody else knows the database.
func (u *use) took(memory int64, s *States) {
	s.mem.Add(memory - u.memory)
	u.memory = memory
}

func (u *use) awake() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.memory > 0
}

// acquire makes sure that Badger is open until release. Who is inside may acquire again. Errors: fault.DiskFull,
// fault.StorageError, fault.CorruptRecord.
func (d *DB) acquire() error {
	d.use.mu.Lock()
	woken := d.badger == nil
	if woken {
		if err := d.wake(d.of.memTable()); err != nil {
			d.use.mu.Unlock()
			return err
		}
		d.counts.Wakes.Add(1)
	}
	d.use.inside++
	d.use.mu.Unlock()
	if woken {
		d.of.share()
	}
	return nil
}

func (d *DB) release() {
	d.use.mu.Lock()
	d.use.inside--
	d.use.mu.Unlock()
}

// wake opens Badger again; use.mu is locked. Tables are not read through, as Open does: they were sound when Badger
// was closed, and nobody else may write to the directory.
func (d *DB) wake(memory int64) error {
	if failed := d.failed.Load(); failed != nil {
		return d.hasFailed(*failed)
	}
	if err := d.of.space.take(0, d.of.held()+memTables*memory); err != nil {
		return err
	}
	if err := removeNeedless(badgerDir(d.dir)); err != nil {
		return fault.New(fault.StorageError, "open the state of task %s again: %w", d.task, err)
	}
	b, err := openBadger(d.options(memory))
	if isLimit(err) {
		return fault.New(fault.StorageError, "open the state of task %s again: %w", d.task, err)
	} else if err != nil {
		return d.damage("%w", err)
	}
	d.badger = b
	d.use.took(memory, d.of)
	newest, oldest := d.versions.current()
	version, _, err := d.readMark()
	if failed := d.failed.Load(); err == nil && failed != nil {
		err = d.damage("%w", *failed)
	}
	if err == nil && version != newest {
		err = d.damage("it rested with version %d and has version %d", newest, version)
	}
	if err != nil {
		d.fail(err)
		return err
	}
	b.SetDiscardTs(oldest)
	return nil
}

// lieDown closes Badger, where it is open, and empties the cache. Nobody is inside; use.mu is locked, or nobody else
// knows the database.
func (d *DB) lieDown() error {
	d.versions.resize(0)
	if d.badger == nil {
		return nil
	}
	return d.closeBadger()
}

func (d *DB) closeBadger() error {
	err := d.badger.Close()
	d.badger = nil
	d.use.took(0, d.of)
	return err
}

// rest closes Badger where nobody uses it.
func (d *DB) rest() (gave int64) {
	d.use.mu.Lock()
	defer d.use.mu.Unlock()
	if d.badger == nil || d.use.inside > 0 || d.use.touched.Load() {
		return 0
	}
	gave = d.use.memory + int64(d.versions.cacheBytes())
	if err := d.lieDown(); err != nil {
		d.fail(fmt.Errorf("close it for a rest: %w", err))
	}
	if d.writer.TryLock() {
		d.batch = batch{}
		d.writer.Unlock()
	}
	d.counts.Rests.Add(1)
	return gave
}

// resize opens Badger again with a memtable of another size, where nobody uses it just now.
func (d *DB) resize(memory int64) {
	d.use.mu.Lock()
	defer d.use.mu.Unlock()
	if d.badger == nil || d.use.inside > 0 {
		return
	}
	if err := d.closeBadger(); err != nil {
		d.fail(fmt.Errorf("close it for another size of memory: %w", err))
		return
	}
	d.counts.Resizes.Add(1)
	if err := d.wake(memory); err != nil { // who comes next tries again, and hears why not
		d.of.o.Logger.Warn("state stays closed for now", "task", d.task, "err", err)
	}
}
