package replica

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for a named fact; far more than it takes.
const limit = time.Minute

// drive is a store in memory that settles what it is given at once, unless a test wants to look in between.
type drive struct {
	*engine.Memory
	mu      sync.Mutex
	lazy    bool          // what need not be durable waits for what must
	loading chan struct{} // not nil: Load waits until it is closed
	loads   atomic.Int32
	broken  error // what Load returns
}

func newDrive(f *engine.Faults) *drive {
	return &drive{Memory: engine.NewMemory(engine.Options{Faults: f})}
}

func (d *drive) Append(c state.Class, w state.Write, done func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Memory.Append(c, w, done)
	d.settle()
}

func (d *drive) settle() {
	if !d.lazy {
		d.Flush()
	}
	for d.Step() {
	}
}

func (d *drive) Barrier(r record.ReplicaID, by state.Incarnation, done func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Memory.Barrier(r, by, done)
	d.settle()
}

func (d *drive) Load(r record.ReplicaID) (state.Tail, []state.Row, error) {
	d.loads.Add(1)
	if d.loading != nil {
		<-d.loading
	}
	if d.broken != nil {
		return state.Tail{}, nil, d.broken
	}
	return d.Memory.Load(r)
}

// bench is one replica, the only one of its partition, on a real actor system.
type bench struct {
	t        *testing.T
	drive    *drive
	system   *actors.System
	ref      actors.Ref
	view     atomic.Pointer[segment.View]
	settings atomic.Pointer[partition.Settings]
	machine  func() partition.Machine
	applied  func(partition.Machine)
	keys     func(int) (func(), bool)
	gone     atomic.Bool // ports are not given any more
	stopped  chan error
	restarts atomic.Int32
	received atomic.Int64
}

// on is the class of the replicas here: each write is synced by itself.
const on = state.ClassLong

func newBench(t *testing.T, d *drive) *bench {
	b := &bench{t: t, drive: d, stopped: make(chan error, 4)}
	b.settings.Store(&partition.Settings{Class: on})
	return b
}

// start activates the replica; what the test sets in b comes before.
func (b *bench) start() *bench {
	b.t.Helper()
	b.system = actors.New(actors.Options{
		Observer:  counter{b},
		OnStopped: func(_ actors.Identity, err error) { b.stopped <- err },
		OnUnknown: func(_ actors.Identity, m any) { b.t.Errorf("unknown message %T", m) },
	})
	b.t.Cleanup(b.system.Close)
	b.system.Register(Kind(b.ports, supervise.Replica()))
	ref, err := b.system.Activate(KindName, Name(1), 1)
	if err != nil {
		b.t.Fatal(err)
	}
	b.ref = ref
	return b
}

func (b *bench) ports(actors.Identity) Ports {
	if b.gone.Load() {
		return Ports{}
	}
	return Ports{
		Config: partition.Config{
			Group: record.TopicPartition{Partition: 3}, ID: 1, Voters: []record.ReplicaID{1}, Settings: *b.settings.Load(),
		},
		Machine: b.machine, Store: b.drive, View: &b.view, Applied: b.applied, Keys: b.keys,
	}
}

// answer is what an Ask brought.
type answer struct {
	partition.Reply
	err error
	at  time.Time
}

// ask sends a request; the channel takes one answer, and the test fails at a second one.
func (b *bench) ask(deadline time.Time, m any) <-chan answer {
	c := make(chan answer, 1)
	var answers atomic.Int32
	b.ref.Ask(deadline, m, func(m any, err error) {
		if answers.Add(1) > 1 {
			b.t.Errorf("a request of type %T was answered twice", m)
			return
		}
		a := answer{err: err, at: time.Now()}
		if r, ok := m.(partition.Reply); ok {
			a.Reply, a.err = r, errors.Join(err, r.Err)
		}
		c <- a
	})
	return c
}

func (b *bench) do(m any) answer {
	b.t.Helper()
	return <-b.ask(time.Now().Add(limit), m)
}

// appending is an Append of one batch of n records.
func appending(n int, acks int8) partition.Append {
	var b record.Builder
	for range n {
		if err := b.Append(&record.Record{TimestampMs: 1000, Value: []byte("value")}); err != nil {
			panic(err)
		}
	}
	frame, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		panic(err)
	}
	return partition.Append{Acks: acks, Epoch: record.NoEpoch, Frame: frame, Deadline: time.Now().Add(limit)}
}

func (b *bench) mustAppend(n int) record.Offset {
	b.t.Helper()
	a := b.do(appending(n, -1))
	if a.err != nil {
		b.t.Fatal(a.err)
	}
	return a.Base
}

// awaitUp asks the machine until it answers: between two lives it is refused.
func (b *bench) awaitUp() answer {
	b.t.Helper()
	for end := time.Now().Add(limit); ; {
		a := b.do(partition.Query{Deadline: time.Now().Add(limit)})
		if a.err == nil || time.Now().After(end) {
			return a
		}
		b.wantCode(a, fault.LeaderNotAvailable)
	}
}

func (b *bench) wantCode(a answer, code fault.Code) {
	b.t.Helper()
	if !errors.Is(a.err, code) {
		b.t.Fatalf("answer %v, want %v", a.err, code)
	}
}

// counter counts restarts and messages.
type counter struct{ b *bench }

func (c counter) Received(string)                { c.b.received.Add(1) }
func (counter) Dropped(string, actors.Drop, int) {}
func (c counter) Restarted(string)               { c.b.restarts.Add(1) }
func (counter) TimedOut(string)                  {}
func (counter) PoolWaiting(int)                  {}

// tape is a machine that keeps the commands it was given.
type tape struct{ commands []string }

func (m *tape) Admit(state.EntryType, []byte) error { return nil }
func (m *tape) Apply(e state.Entry) error {
	if e.Type == state.EntryControl && len(e.Payload()) > 0 {
		m.commands = append(m.commands, string(e.Payload()))
	}
	return nil
}
func (m *tape) Query(any) any        { return append([]string(nil), m.commands...) }
func (m *tape) Snapshot() []byte     { return nil }
func (m *tape) Restore([]byte) error { return nil }

func proposing(command string) partition.Propose {
	return partition.Propose{
		Epoch: record.NoEpoch, Deadline: time.Now().Add(limit),
		Frame: append(make([]byte, state.FrameRoom), command...),
	}
}
