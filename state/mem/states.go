package mem

import (
	"maps"
	"slices"
	"sync"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/gate"
)

// States keeps the databases of all tasks in memory. What was applied to one is there again when it is opened the
// next time, until it is wiped. The zero value is not useful: NewStates makes one.
type States struct {
	mu     sync.Mutex
	tasks  map[string]*shelf
	closed bool
}

var _ state.States = (*States)(nil)

// NewStates returns a member's databases, none yet.
func NewStates() *States { return &States{tasks: map[string]*shelf{}} }

// Open opens the database of a task; see state.States.
func (s *States) Open(task string) (state.StateDB, error) {
	db, err := s.open(task)
	if err != nil {
		return nil, err
	}
	return db, nil
}

func (s *States) open(task string) (*DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fault.New(fault.Closing, "the member's state databases are closed")
	}
	sh := s.tasks[task]
	if sh == nil {
		sh = &shelf{task: task}
		sh.applied.Store(&view{})
		s.tasks[task] = sh
	}
	if sh.open != nil {
		return nil, fault.New(fault.StorageError, "the state of task %s is open already", task).
			WithHint("close it before it is opened again")
	}
	sh.open = &DB{of: s, shelf: sh, gate: gate.New()}
	return sh.open, nil
}

// Wipe removes what a task has; see state.States.
func (s *States) Wipe(task string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh := s.tasks[task]; sh != nil && sh.open != nil {
		return fault.New(fault.StorageError, "the state of task %s is open", task).WithHint("close it first")
	}
	delete(s.tasks, task)
	return nil
}

// List says which tasks have a database; see state.States. Bytes are those of keys and values.
func (s *States) List() ([]state.StateInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []state.StateInfo
	for _, task := range slices.Sorted(maps.Keys(s.tasks)) {
		sh := s.tasks[task]
		all = append(all, state.StateInfo{Task: task, Bytes: sh.applied.Load().bytes, Open: sh.open != nil})
	}
	return all, nil
}

// Crash ends every open database as a kill of the process would: what was applied stays, and can be opened again.
// Their Close is still called, or not.
func (s *States) Crash() {
	for _, db := range s.drop() {
		db.gate.Shut()
	}
}

// Close closes every database; see state.States.
func (s *States) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, db := range s.drop() {
		db.end()
	}
	return nil
}

// drop takes the open databases away from their tasks.
func (s *States) drop() []*DB {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*DB
	for _, sh := range s.tasks {
		if sh.open != nil {
			open = append(open, sh.open)
			sh.open = nil
		}
	}
	return open
}
