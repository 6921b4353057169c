package statedb

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/dirlock"
	"github.com/millstream-io/millstream/state/gate"
)

// DB is the database of one task, open: a Badger of its own, or none while it rests.
type DB struct {
	of     *States
	task   string
	dir    string
	boot   string
	counts *Counts

	use      use
	badger   *badger.DB // changes under use.mu while nobody is inside; nil while the database rests
	gate     *gate.Gate
	writer   sync.Mutex // held by Apply
	versions versions
	failed   atomic.Pointer[error]
	long     atomic.Bool // there may be long values
	batch    batch       // of the Apply under way; its memory is used again

	closing sync.Once
	closed  error
}

var _ state.StateDB = (*DB)(nil)

// badgerOptions are the settings of a database. Everything is inline; nothing is compressed, so tables are read
// from their mappings and there is no cache of blocks; versions are ours.
func badgerOptions(dir string, memTable int64, log badger.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(log).
		WithSyncWrites(false).
		WithBypassLockGuard(dirlock.Locks). // the directory above is locked
		WithValueThreshold(min(1<<20, 15*memTable/100)).
		WithValueLogFileSize(1 << 20).
		WithCompression(options.None).
		WithMemTableSize(memTable).
		WithBaseTableSize(min(max(memTable/2, leastTable), mostTable)).
		WithNumMemtables(memTables).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumVersionsToKeep(1).
		WithNumCompactors(2).
		WithDetectConflicts(false).
		WithMetricsEnabled(false)
}

// badgerLogger listens to what Badger says. What goes wrong in its own goroutines is reported in no other way.
type badgerLogger struct {
	log  *slog.Logger
	task string
	fail func(error)
}

func (l badgerLogger) Errorf(format string, args ...any) {
	l.fail(errors.New(strings.TrimSpace(fmt.Sprintf(format, args...))))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.log.Warn("storage below the state", "task", l.task, "err", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l badgerLogger) Infof(string, ...any)  {}
func (l badgerLogger) Debugf(string, ...any) {}

// fail refuses everything from now on; the first error counts.
func (d *DB) fail(err error) {
	if d.failed.CompareAndSwap(nil, &err) {
		d.of.o.Logger.Error("state database fails", "task", d.task, "err", err)
	}
}

// enter lets a call in, or says why not.
func (d *DB) enter() error {
	if !d.gate.Enter() {
		return d.isClosed()
	}
	if err := d.failed.Load(); err != nil {
		d.gate.Leave()
		return d.hasFailed(*err)
	}
	d.use.touch()
	return nil
}

func (d *DB) hasFailed(err error) error {
	return fault.New(fault.StorageError, "the state of task %s has failed: %w", d.task, err).
		WithHint("restart the task: its state is opened again, and restored where that takes it")
}

func (d *DB) isClosed() error {
	return fault.New(fault.Closing, "the state of task %s is closed", d.task)
}

// Get appends the value of key to dst; see state.StateDB.
func (d *DB) Get(dst, key []byte) (value []byte, ok bool, err error) {
	if err := d.enter(); err != nil {
		return dst, false, err
	}
	defer d.gate.Leave()
	d.counts.Gets.Add(1)
	value, ok, known, version := d.versions.begin(dst, key)
	if known {
		d.counts.CacheHits.Add(1)
		return value, ok, nil
	}
	if err := d.acquire(); err != nil {
		d.versions.end(version, nil, nil, false)
		return dst, false, err
	}
	defer d.release()
	txn := d.badger.NewTransactionAt(version, false)
	defer txn.Discard()
	value, ok, err = d.read(txn, dst, key)
	if err != nil {
		d.versions.end(version, nil, nil, false)
		return dst, false, err
	}
	d.versions.end(version, key, value[len(dst):], ok)
	return value, ok, nil
}

// read appends the value of key, as of a transaction.
func (d *DB) read(txn *badger.Txn, dst, key []byte) (value []byte, ok bool, err error) {
	var room [128]byte
	item, err := txn.Get(rowKey(room[:0], key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, d.unreadable(key, err)
	}
	value, err = d.value(txn, item, dst, key)
	return value, err == nil, err
}

// value appends the value of an item that is the row of key.
func (d *DB) value(txn *badger.Txn, item *badger.Item, dst, key []byte) ([]byte, error) {
	what := item.UserMeta()
	err := item.Value(func(stored []byte) error {
		v, ok := unseal(what, key, stored)
		if !ok && !d.of.o.Faults.NoSums {
			return d.damaged(key)
		}
		if what != longRow {
			dst = append(dst, v...)
			return nil
		}
		var err error
		dst, err = d.join(txn, dst, key, v)
		return err
	})
	if err != nil && fault.CodeOf(err) != fault.CorruptRecord {
		err = d.unreadable(key, err)
	}
	return dst, err
}

func (d *DB) unreadable(key []byte, err error) error {
	return fault.New(fault.StorageError, "read a row of %s of task %s: %w", storeOf(key), d.task, err).
		WithHint("restart the task: its state is opened again, and restored where that takes it")
}

func (d *DB) damaged(key []byte) error {
	return fault.New(fault.CorruptRecord, "a row of %s of task %s is damaged", storeOf(key), d.task).
		WithHint("the state has to be wiped and restored from its changelogs; check the disk")
}

// storeOf names the store that a row belongs to.
func storeOf(key []byte) string {
	store, _, ok := state.SplitRowKey(key)
	if !ok {
		return "no store"
	}
	return fmt.Sprintf("store %d", store)
}

// Mark returns what the last Apply left, read-only; see state.StateDB.
func (d *DB) Mark() []byte {
	_, mark := d.versions.state()
	return mark
}

// Close ends all use and leaves the database as it is; see state.StateDB. What was applied survives the machine
// too from then on.
func (d *DB) Close() error {
	d.closing.Do(func() { d.closed = d.close() })
	return d.closed
}

func (d *DB) close() error {
	d.gate.Shut()
	d.gate.Wait()
	defer d.of.forget(d)
	d.use.mu.Lock()
	err := d.lieDown()
	d.use.mu.Unlock()
	if err != nil {
		return fmt.Errorf("close the state of task %s: %w", d.task, err)
	}
	if err := d.failed.Load(); err != nil {
		return fmt.Errorf("the state of task %s has failed and is not closed as it should be: %w", d.task, *err)
	}
	if err := d.leaveClean(); err != nil {
		return fmt.Errorf("close the state of task %s: %w", d.task, err)
	}
	return nil
}

// leaveClean notes, after everything else is on the disk, that the directory can be used as it stands.
func (d *DB) leaveClean() error {
	dir := badgerDir(d.dir)
	if err := errors.Join(removeNeedless(dir), syncDir(dir)); err != nil {
		return err
	}
	sum, err := sumFiles(dir)
	if err != nil {
		return err
	}
	version, _ := d.versions.state()
	return writeMeta(d.dir, meta{task: d.task, boot: d.boot, clean: true, at: version, files: sum})
}
