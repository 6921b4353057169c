package statedb

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"

	"github.com/millstream-io/millstream/proto/fault"
)

// badgerDir is where Badger's files are in the directory of a task.
func badgerDir(dir string) string { return filepath.Join(dir, "rows") }

// open opens what the directory has, or begins anew where that must not be used.
func (d *DB) open() error {
	m, err := d.before()
	if err != nil {
		return err
	}
	dir := badgerDir(d.dir)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make a state database: %w", err)
	}
	if err := removeNeedless(dir); err != nil {
		return err
	}
	left, err := leftMemTable(dir)
	if err != nil {
		return fmt.Errorf("look at what a crash has left: %w", err)
	}
	memory := max(d.of.memTable(), left)
	o := d.options(memory)
	if err := checkTables(dir, o); isLimit(err) {
		return err
	} else if err != nil {
		return d.damage("%w", err)
	}
	if err := writeMeta(d.dir, meta{task: d.task, boot: d.boot}); err != nil {
		return err
	}
	if err := syncDir(d.of.o.Dir); err != nil {
		return err
	}
	if d.badger, err = openBadger(o); isLimit(err) {
		return err
	} else if err != nil {
		return d.damage("%w", err)
	}
	d.use.took(memory, d.of)
	err = d.recover(m)
	if failed := d.failed.Load(); err == nil && failed != nil { // it was told to the log only
		err = d.damage("%w", *failed)
	}
	if err != nil {
		return errors.Join(err, d.lieDown())
	}
	return nil
}

// leftMemTable is the size of memtable that takes what a crash has left in write-ahead logs, 0 where there is none: Badger
// reads a log into one memtable, and ends the process where that is too small. A log was made with twice the size
// of its memtable, and ends in zeros; but one that was read once is cut to what is in it.
func leftMemTable(dir string) (most int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".mem") {
			continue
		}
		size, cut, err := readLogEnd(filepath.Join(dir, e.Name()))
		if err != nil {
			return 0, err
		}
		need := size/2 + size/16 // nodes have random sizes: another time they may take a little more
		if cut {
			need = leastRowTimes * size
		}
		most = max(most, min(need, mostMemTable+mostMemTable/8))
	}
	return most, nil
}

// leastRowTimes is how much more the smallest row takes in a memtable than in a log, at the most.
const leastRowTimes = 8

// readLogEnd returns the size of a write-ahead log, and whether it is written up to its end.
func readLogEnd(name string) (size int64, cut bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	end := make([]byte, min(64, info.Size()))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil {
		return 0, false, err
	}
	return info.Size(), len(bytes.Trim(end, "\x00")) > 0, nil
}

func (d *DB) options(memory int64) badger.Options {
	log := badgerLogger{log: d.of.o.Logger, task: d.task, fail: d.fail}
	return badgerOptions(badgerDir(d.dir), memory, log)
}

// before reads what was left and wipes what must not be used: data of another format, and data that was in use
// when the machine went down.
func (d *DB) before() (meta, error) {
	m, there, err := readMeta(d.dir)
	switch {
	case errors.Is(err, errFormat):
		d.of.o.Logger.Warn("state of another format is dropped, it is restored from its changelogs", "task", d.task, "err", err)
		return meta{}, removeDir(d.dir)
	case err != nil:
		return meta{}, err
	case !there:
		return meta{}, removeDir(d.dir) // making it was not finished, or removing it
	case m.task != d.task:
		return meta{}, d.damage("the directory belongs to task %s", m.task)
	case m.clean:
		sum, err := sumFiles(badgerDir(d.dir))
		if err != nil || sum != m.files {
			return meta{}, d.damage("its files are not those that were closed: %w", errors.Join(err, fmt.Errorf("sum %08x", sum)))
		}
	case m.boot == "" || m.boot != d.boot:
		d.of.o.Logger.Info("state was in use when the machine went down, it is restored from its changelogs", "task", d.task)
		return meta{}, removeDir(d.dir)
	}
	return m, nil
}

func (d *DB) damage(format string, args ...any) error {
	return fault.New(fault.CorruptRecord, "the state of task %s is damaged: %w", d.task, fmt.Errorf(format, args...)).
		WithHint("it has to be wiped and restored from its changelogs; check the disk")
}

// openBadger turns Badger's panics over what it reads into errors.
func openBadger(o badger.Options) (db *badger.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%v", p)
		}
	}()
	return badger.OpenManaged(o)
}

// isLimit reports whether the disk or the process refused: nothing is wrong with the data then. Badger does not
// pass on errors, only what they say.
func isLimit(err error) bool {
	if err == nil {
		return false
	}
	for _, no := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOSPC, syscall.EACCES, syscall.EPERM, syscall.EROFS,
		syscall.EIO,
	} {
		if errors.Is(err, no) || strings.Contains(err.Error(), no.Error()) {
			return true
		}
	}
	return false
}

// recover finds the newest state, and takes back what an Apply that was not finished has left.
func (d *DB) recover(m meta) error {
	version, mark, err := d.readMark()
	if err != nil {
		return err
	}
	if m.clean && version != m.at {
		return d.damage("it has version %d, it was closed with version %d", version, m.at)
	}
	if d.badger.MaxVersion() > version {
		if version, err = d.rollBack(version, mark); err != nil {
			return fmt.Errorf("take back an Apply that was not finished: %w", err)
		}
	}
	d.versions.newest, d.versions.mark = version, mark
	d.badger.SetDiscardTs(version)
	d.long.Store(d.hasPieces())
	return nil
}

// readMark returns version 0 where there is no mark.
func (d *DB) readMark() (version uint64, mark []byte, err error) {
	txn := d.badger.NewTransactionAt(^uint64(0), false)
	defer txn.Discard()
	item, err := txn.Get(markKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, d.damage("read the mark: %w", err)
	}
	err = item.Value(func(stored []byte) error {
		v, ok := unseal(wholeRow, markKey, stored)
		if !ok {
			return d.damage("its mark is damaged")
		}
		mark = append([]byte{}, v...)
		return nil
	})
	return item.Version(), mark, err
}

func (d *DB) hasPieces() bool {
	txn := d.badger.NewTransactionAt(^uint64(0), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	it.Seek([]byte{piecePrefix})
	return it.Valid()
}

// rollBack writes what rows of the version after good had in good, and the mark of good, which makes it a version
// like any other. Where nothing was ever applied there is no mark, and the next Apply writes that version again. It
// can be repeated after a crash.
func (d *DB) rollBack(good uint64, mark []byte) (newest uint64, err error) {
	keys, err := d.keysAfter(good)
	if err != nil {
		return 0, err
	}
	b := &d.batch
	b.begin(d, good+1, len(keys))
	txn := d.badger.NewTransactionAt(good, false)
	defer txn.Discard()
	for _, key := range keys {
		if err := restore(b, txn, key); err != nil {
			return 0, errors.Join(err, b.wait())
		}
	}
	if good == 0 {
		return 0, errors.Join(b.send(), b.wait())
	}
	return good + 1, b.end(mark)
}

// restore writes what a key has in an older transaction.
func restore(b *batch, old *badger.Txn, key []byte) error {
	item, err := old.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return b.remove(key)
	}
	if err != nil {
		return err
	}
	stored, err := item.ValueCopy(nil)
	if err != nil {
		return err
	}
	return b.add(key, stored, item.UserMeta())
}

// keysAfter lists the keys that have a version after good.
func (d *DB) keysAfter(good uint64) ([][]byte, error) {
	txn := d.badger.NewTransactionAt(^uint64(0), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{AllVersions: true, SinceTs: good})
	defer it.Close()
	var keys [][]byte
	for it.Rewind(); it.Valid(); it.Next() {
		v := it.Item().Version()
		if v > good+1 {
			return nil, d.damage("it has version %d after %d", v, good)
		}
		if v == good+1 {
			keys = append(keys, it.Item().KeyCopy(nil))
		}
	}
	return keys, nil
}
