package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// unloadable is a store whose replicas have lost what they need to be loaded.
type unloadable struct{ state.LogStore }

func (unloadable) Load(record.ReplicaID) (state.Tail, []state.Row, error) {
	return state.Tail{}, nil, fault.New(fault.CorruptRecord, "the tail row is damaged")
}

// readOnlyOf starts what serves one damaged partition.
func readOnlyOf(t *testing.T, store state.LogStore) (*placed, actors.Ref) {
	t.Helper()
	p := &placed{id: 7}
	why := error(fault.New(fault.CorruptRecord, "entry 5 is damaged"))
	p.failed.Store(&why)
	system := actors.New(actors.Options{OnUnknown: func(_ actors.Identity, m any) { t.Errorf("unknown message %T", m) }})
	t.Cleanup(system.Close)
	system.Register(actors.Kind{Name: readOnlyKind, New: func(actors.Identity) actors.Actor {
		return &readOnly{p: p, store: store, why: why}
	}})
	ref, err := system.Activate(readOnlyKind, "7", 1)
	if err != nil {
		t.Fatal(err)
	}
	return p, ref
}

// asked is the error of one request.
func asked(ref actors.Ref, m any) <-chan error {
	c := make(chan error, 1)
	ref.Ask(time.Now().Add(watchLimit), m, func(_ any, err error) { c <- err })
	return c
}

// Goal: a partition that cannot be loaded says so to readers and writers. Method: a store that loads nothing.
func TestReadOnlyUnloadable(t *testing.T) {
	p, ref := readOnlyOf(t, unloadable{})
	for name, test := range map[string]struct {
		m    any
		code fault.Code
	}{
		"watch": {replica.Watch{}, fault.CorruptRecord}, "append": {partition.Append{}, fault.PolicyViolation},
		"trim": {partition.Trim{}, fault.PolicyViolation}, "query": {partition.Query{}, fault.PolicyViolation},
		"propose": {partition.Propose{}, fault.PolicyViolation},
		"fence":   {partition.Fence{}, fault.PolicyViolation},
	} {
		if err := <-asked(ref, test.m); !errors.Is(err, test.code) {
			t.Errorf("%s: %v, want %v", name, err, test.code)
		}
	}
	if err := p.unreadable.Load(); err == nil || !errors.Is(*err, fault.CorruptRecord) || p.view.Load() != nil {
		t.Errorf("it is said to be unreadable for %v", err)
	}
}

// Goal: a reader waits for its time at most, and is let go when it gives up. Method: a log of no entries; a watch
// that ends by its deadline, one that is taken back, one that wants nothing.
func TestReadOnlyWatches(t *testing.T) {
	p, ref := readOnlyOf(t, &shelf{})
	if err := <-asked(ref, replica.Watch{}); err != nil || p.view.Load() == nil {
		t.Fatalf("a watch for nothing: %v", err)
	}
	if err := <-asked(ref, replica.Watch{ID: 1, MinBytes: 1, Deadline: time.Now().Add(20 * time.Millisecond)}); err != nil {
		t.Errorf("a watch that ends: %v", err)
	}
	waits := asked(ref, replica.Watch{ID: 2, MinBytes: 1, Deadline: time.Now().Add(watchLimit)})
	ref.Tell(partition.Configure{})
	ref.Tell(partition.Damaged{})
	ref.Tell(replica.Unwatch{ID: 3})
	ref.Tell(replica.Unwatch{ID: 2})
	if err := <-waits; err != nil {
		t.Errorf("a watch that is taken back: %v", err)
	}
}
