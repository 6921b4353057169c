package statedb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/dirlock"
	"github.com/millstream-io/millstream/state/gate"
)

// What a database has for what was written last. A larger memtable would be merged less often, but after a kill it is
// read again row by row.
// The least one takes a piece of a long value in a transaction.
const (
	memTables     = 2
	leastMemTable = 512 << 10
	mostMemTable  = 16 << 20
	leastTable    = 512 << 10
	mostTable     = 2 << 20
)

// goneSuffix ends the name of a directory that is on its way out. No task's directory ends so.
const goneSuffix = "~gone"

// States are the databases of a member's tasks. It implements state.States.
type States struct {
	o     Options
	lock  *dirlock.Lock
	space *space
	mem   atomic.Int64 // of the memtables of all open databases

	mu     sync.Mutex
	open   map[string]*DB // nil while one is being opened or wiped
	closed bool

	tender tender
}

var _ state.States = (*States)(nil)

// OpenStates takes the directory, which no other process may use meanwhile. It opens no database. Errors:
// fault.InvalidConfig, fault.StorageError.
func OpenStates(o Options) (*States, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fault.New(fault.StorageError, "make the directory of the state databases: %w", err)
	}
	lock, err := dirlock.Take(filepath.Join(o.Dir, "LOCK"))
	if err != nil {
		return nil, fault.New(fault.StorageError, "take the directory %s of the state databases: %w", o.Dir, err).
			WithHint("stop the process that has it open, or use another directory")
	}
	s := &States{o: o, lock: lock, open: map[string]*DB{}, space: &space{measure: o.Faults.Space, now: o.Now}}
	if err := s.removeGone(); err != nil {
		return nil, errors.Join(fault.New(fault.StorageError, "%w", err), lock.Release())
	}
	return s, nil
}

// removeGone ends what a crash has interrupted.
func (s *States) removeGone() error {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return fmt.Errorf("list state databases: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasSuffix(e.Name(), goneSuffix) {
			if err := os.RemoveAll(filepath.Join(s.o.Dir, e.Name())); err != nil {
				return fmt.Errorf("remove a state database: %w", err)
			}
		}
	}
	return nil
}

// Open opens the database of a task, or makes an empty one; see state.States. What is of another format, or was in
// use when the machine went down, is dropped first.
func (s *States) Open(task string) (state.StateDB, error) {
	d, err := s.begin(task)
	if err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		s.forget(d)
		if fault.CodeOf(err) == fault.Unknown {
			err = fault.New(fault.StorageError, "open the state of task %s: %w", task, err)
		}
		return nil, err
	}
	s.mu.Lock()
	s.open[task] = d
	late := s.closed
	if !late {
		s.tender.start(s)
	}
	s.mu.Unlock()
	if late {
		return nil, errors.Join(s.isClosed(), d.Close())
	}
	s.share()
	return d, nil
}

// begin reserves the name and the memory of a database.
func (s *States) begin(task string) (*DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, s.isClosed()
	}
	if len(task) == 0 || len(task) > 1<<15 {
		return nil, fault.New(fault.InvalidRequest, "a task's name has %d bytes", len(task))
	}
	if _, busy := s.open[task]; busy {
		return nil, fault.New(fault.StorageError, "the state of task %s is open already", task).
			WithHint("close it before it is opened again")
	}
	if err := s.space.take(0, s.held()); err != nil {
		return nil, err
	}
	s.open[task] = nil
	d := &DB{of: s, task: task, dir: filepath.Join(s.o.Dir, dirName(task)), boot: s.o.Faults.BootID(), gate: gate.New(),
		counts: s.o.Counts(task)}
	d.versions.cache = newRowCache()
	return d, nil
}

// memTable is the size of one of the next database: a share of what the others leave.
func (s *States) memTable() int64 {
	return min(max(s.spare()/8, leastMemTable), mostMemTable)
}

// spare is what the memtables of all databases leave of a quarter of the memory; another quarter is for those that
// are being written to the disk. Below zero more is taken than there is.
func (s *States) spare() int64 { return s.o.MemoryBytes/4 - s.mem.Load() }

// held is what all databases have in memory and not in tables yet, at the most.
func (s *States) held() int64 { return memTables * s.mem.Load() }

// share gives every database that is in use the same part of half the memory for its cache.
func (s *States) share() {
	var awake []*DB
	for _, d := range s.databases() {
		if d.use.awake() {
			awake = append(awake, d)
		}
	}
	for _, d := range awake {
		d.versions.resize(int(s.o.MemoryBytes/2) / len(awake))
	}
}

// databases are those that are open, in no order.
func (s *States) databases() (all []*DB) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.open {
		if d != nil {
			all = append(all, d)
		}
	}
	return all
}

// forget gives the name of a database back.
func (s *States) forget(d *DB) {
	s.mu.Lock()
	delete(s.open, d.task)
	s.mu.Unlock()
	s.share()
}

func (s *States) isClosed() error {
	return fault.New(fault.Closing, "the member's state databases are closed")
}

// Wipe removes the database of a task; see state.States.
func (s *States) Wipe(task string) error {
	s.mu.Lock()
	_, busy := s.open[task]
	if !busy && !s.closed {
		s.open[task] = nil
	}
	closed := s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return s.isClosed()
	case busy:
		return fault.New(fault.StorageError, "the state of task %s is open", task).WithHint("close it first")
	}
	defer func() {
		s.mu.Lock()
		delete(s.open, task)
		s.mu.Unlock()
	}()
	if err := removeDir(filepath.Join(s.o.Dir, dirName(task))); err != nil {
		return fault.New(fault.StorageError, "wipe the state of task %s: %w", task, err)
	}
	return nil
}

// removeDir removes a directory so that a crash leaves all of it or nothing that counts.
func removeDir(dir string) error {
	aside := dir + goneSuffix
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	err := os.Rename(dir, aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(aside)
}

// List says which tasks have a database; see state.States. Bytes are those of the files, but for room that was
// taken and not written to.
func (s *States) List() ([]state.StateInfo, error) {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return nil, fault.New(fault.StorageError, "list state databases: %w", err)
	}
	var all []state.StateInfo
	for _, e := range entries {
		dir := filepath.Join(s.o.Dir, e.Name())
		if !e.IsDir() || strings.HasSuffix(e.Name(), goneSuffix) {
			continue
		}
		m, there, err := readMeta(dir)
		if !there || err != nil {
			continue // it is being made or removed, or Open says what is wrong with it
		}
		s.mu.Lock()
		open := s.open[m.task] != nil
		s.mu.Unlock()
		all = append(all, state.StateInfo{Task: m.task, Bytes: diskBytes(dir), Open: open})
	}
	slices.SortFunc(all, func(a, b state.StateInfo) int { return strings.Compare(a.Task, b.Task) })
	return all, nil
}

// diskBytes counts what can be counted: files come and go meanwhile.
func diskBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			n += takenBytes(info)
		}
		return nil
	})
	return n
}

// Close closes every database; see state.States.
func (s *States) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.tender.stop()
	var errs []error
	for _, d := range s.databases() {
		errs = append(errs, d.Close())
	}
	return errors.Join(append(errs, s.lock.Release())...)
}
