package broker_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/actors/pool"
	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for a named fact; far more than it takes.
const limit = time.Minute

// drive is a store in memory that settles what it is given at once.
type drive struct {
	*engine.Memory
	mu   sync.Mutex
	bad  *atomic.Bool // reads panic
	lent atomic.Int64 // holds that are out
	made atomic.Int64 // holds that there ever were
	torn atomic.Bool  // a panic comes when the loan has something
}

// lentHold is one hold of the drive.
type lentHold struct{ d *drive }

func (h *lentHold) Release() { h.d.lent.Add(-1) }

// Lend implements state.Lender: each call adds a hold.
func (d *drive) Lend(r record.ReplicaID, lo, hi uint64, maxBytes int, dst []state.Entry, loan *state.Loan) (
	[]state.Entry, error,
) {
	d.lent.Add(1)
	d.made.Add(1)
	loan.Add(&lentHold{d})
	if d.torn.Load() {
		panic("the disk went away")
	}
	return d.Memory.Lend(r, lo, hi, maxBytes, dst, loan)
}

func (d *drive) Seek(r record.ReplicaID, o record.Offset) (uint64, error) {
	d.mayPanic()
	return d.Memory.Seek(r, o)
}

func (d *drive) SeekTime(r record.ReplicaID, ms int64) (uint64, error) {
	d.mayPanic()
	return d.Memory.SeekTime(r, ms)
}

func (d *drive) mayPanic() {
	if d.bad.Load() {
		panic("no such disk")
	}
}

func (d *drive) Append(c state.Class, w state.Write, done func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Memory.Append(c, w, done)
	d.Flush()
}

func (d *drive) Barrier(r record.ReplicaID, by state.Incarnation, done func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Memory.Barrier(r, by, done)
	d.Flush()
}

// member is what stands around a broker: a store, replicas on a real actor system, a controller whose
// commands are applied on the spot, and the directory that follows the table.
type member struct {
	t      *testing.T
	system *actors.System
	drive  *drive
	jobs   *pool.Pool
	table  atomic.Pointer[placement.Table]
	broker *broker.Broker
	full   atomic.Bool              // the disk has no room
	fill   atomic.Bool              // … from the next look at the clock on
	bad    atomic.Bool              // the store panics when it is read
	submit func(job func()) error   // not nil: stands for the pool
	tail   int                      // bytes of the tail cache; 0 the default
	rounds atomic.Int64             // looks at the clock: each try of a fetch takes one
	panics atomic.Pointer[struct{}] // a machine shall panic
	seen   struct{ received, timedOut atomic.Int64 }

	mu       sync.Mutex
	meta     *meta.Machine
	index    uint64
	replicas map[record.TopicPartition]broker.Replica
	views    map[string]*atomic.Pointer[segment.View]
	hosted   map[string]placement.Hosted
}

// start makes a member of cluster "c" with the partitions of topic "t" up.
func start(t *testing.T, partitions int32, set func(*member)) *member {
	t.Helper()
	m := &member{
		t: t, meta: meta.New(), replicas: map[record.TopicPartition]broker.Replica{},
		views: map[string]*atomic.Pointer[segment.View]{}, hosted: map[string]placement.Hosted{},
	}
	m.drive = &drive{bad: &m.bad, Memory: engine.NewMemory(engine.Options{
		MaxWriteBytes: 16 << 20,
		Faults:        &engine.Faults{Space: m.space},
	})}
	m.jobs = pool.New(pool.Options{Size: 4})
	m.submit = m.jobs.Submit
	if set != nil {
		set(m)
	}
	m.table.Store(m.meta.Table())
	m.system = actors.New(actors.Options{Observer: observer{m}})
	t.Cleanup(m.close)
	m.broker = broker.New(broker.Config{
		Logger: slog.New(slog.DiscardHandler),
		Self:   1, Table: &m.table, Directory: m, Store: m.drive, Submit: func(job func()) error { return m.submit(job) },
		Now: func() time.Time {
			m.rounds.Add(1)
			if m.fill.Load() {
				m.full.Store(true)
			}
			return time.Now()
		},
		Volume:       func() (string, int64, int64) { return "/data", 1 << 40, m.drive.Free() },
		MemberConfig: func() []config.Entry { return []config.Entry{{Key: "broker.id", Value: "1"}} },
	})
	m.system.Register(replica.Kind(m.ports, supervise.Replica()))
	m.system.Register(controller.Kind(m.controller, supervise.Policy{}))
	ref, err := m.system.Activate(controller.KindName, "cluster", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range []any{
		controller.InitCluster{ClusterID: "c", Metadata: 1000}, controller.RegisterMember{ID: 1, Address: "127.0.0.1:1"},
	} {
		done := make(chan error, 1)
		ref.Ask(time.Now().Add(limit), first, func(_ any, err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if partitions > 0 {
		m.create("t", partitions)
	}
	return m
}

func (m *member) close() {
	m.system.Close()
	m.jobs.Close()
	if err := m.drive.Close(); err != nil {
		m.t.Error(err)
	}
}

func (m *member) space() (free, total int64, err error) {
	if m.full.Load() {
		return 0, 1 << 40, nil
	}
	return 1 << 40, 1 << 40, nil
}

// Replica implements broker.Directory.
func (m *member) Replica(tp record.TopicPartition) (broker.Replica, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.replicas[tp]
	return r, ok
}

// place puts another replica into the directory.
func (m *member) place(tp record.TopicPartition, r broker.Replica) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replicas[tp] = r
}

// Controller implements broker.Directory.
func (m *member) Controller() (actors.Ref, bool) {
	return m.system.Lookup(controller.KindName, "cluster")
}

func (m *member) controller(actors.Identity) controller.Ports {
	return controller.Ports{
		Table: m.table.Load, Policy: meta.Policy{Defaults: placement.Defaults{Partitions: 1, Replicas: 1}},
		Propose: func(frame []byte, _ time.Time, done func(error)) { done(m.apply(frame)) },
	}
}

func (m *member) apply(frame []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.meta.Admit(state.EntryControl, frame[state.FrameRoom:]); err != nil {
		return err
	}
	m.index++
	if err := m.meta.Apply(state.Entry{Index: m.index, Type: state.EntryControl, Frame: frame}); err != nil {
		return err
	}
	now := m.meta.Table()
	c := placement.Diff(m.table.Swap(now), now, 1)
	for _, h := range c.Stop {
		delete(m.replicas, h.Partition)
		m.system.Stop(replica.KindName, replica.Name(h.Replica))
	}
	for _, h := range c.Start {
		name := replica.Name(h.Replica)
		m.hosted[name], m.views[name] = h, new(atomic.Pointer[segment.View])
		ref, err := m.system.Activate(replica.KindName, name, 1)
		if err != nil {
			return err
		}
		m.replicas[h.Partition] = broker.Replica{Ref: ref, View: m.views[name]}
	}
	return nil
}

func (m *member) ports(id actors.Identity) replica.Ports {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.hosted[id.Name]
	p := replica.Ports{
		Store: m.drive, View: m.views[id.Name],
		Config: partition.Config{
			Group: h.Partition, ID: h.Replica, Voters: []record.ReplicaID{h.Replica}, MaxTailCacheBytes: m.tail,
			Settings: partition.Settings{Class: h.Topic.Config.Class(), LogAppendTime: h.Topic.Config.LogAppendTime},
		},
		Machine: func() partition.Machine { return fragile{m} },
	}
	if h.Topic.Name == config.OffsetsTopic {
		p.Machine = func() partition.Machine { return group.New() }
	}
	return p
}

// fragile is a machine that does nothing, unless the test wants its replica to crash.
type fragile struct{ m *member }

func (fragile) Admit(state.EntryType, []byte) error { return nil }
func (f fragile) Apply(state.Entry) error {
	if f.m.panics.Swap(nil) != nil {
		panic("bomb")
	}
	return nil
}
func (fragile) Query(any) any        { return nil }
func (fragile) Snapshot() []byte     { return nil }
func (fragile) Restore([]byte) error { return nil }

// observer counts what the actors do.
type observer struct{ m *member }

func (o observer) Received(string)                { o.m.seen.received.Add(1) }
func (observer) Dropped(string, actors.Drop, int) {}
func (observer) Restarted(string)                 {}
func (o observer) TimedOut(string)                { o.m.seen.timedOut.Add(1) }
func (observer) PoolWaiting(int)                  {}

// once turns a call with a done function into its answer; a second answer fails the test.
func once[A any](t *testing.T, call func(done func(A))) <-chan A {
	c := make(chan A, 1)
	var answers atomic.Int32
	call(func(a A) {
		if answers.Add(1) > 1 {
			t.Errorf("done was called twice, with %T", a)
			return
		}
		c <- a
	})
	return c
}

func soon() time.Time { return time.Now().Add(limit) }

func (m *member) create(name string, partitions int32, settings ...string) record.TopicID {
	m.t.Helper()
	configs := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	a := <-once(m.t, func(done func([]broker.CreatedTopic)) {
		n := broker.NewTopic{Name: name, Partitions: partitions, Replicas: -1, Configs: configs}
		m.broker.CreateTopics(broker.Who{}, []broker.NewTopic{n}, false, soon(), done)
	})
	if a[0].Err != nil {
		m.t.Fatal(a[0].Err)
	}
	m.awaitUp(a[0].ID, partitions)
	return a[0].ID
}

// awaitUp waits until partitions answer.
func (m *member) awaitUp(id record.TopicID, partitions int32) {
	for p := range partitions {
		r, _ := m.Replica(record.TopicPartition{Topic: id, Partition: record.Partition(p)})
		up := make(chan error, 1)
		r.Ref.Ask(soon(), replica.Watch{Deadline: soon()}, func(_ any, err error) { up <- err })
		if err := <-up; err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *member) remove(name string) {
	m.t.Helper()
	a := <-once(m.t, func(done func([]broker.DeletedTopic)) {
		m.broker.DeleteTopics(broker.Who{}, []broker.TopicRef{{Name: name}}, soon(), done)
	})
	if a[0].Err != nil {
		m.t.Fatal(a[0].Err)
	}
}

// frame is a produce frame of one batch with a record of so many bytes.
func frame(size int) []byte {
	var b record.Builder
	if err := b.Append(&record.Record{TimestampMs: 1000, Value: make([]byte, size)}); err != nil {
		panic(err)
	}
	f, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		panic(err)
	}
	return f
}

func (m *member) send(p broker.Produce) <-chan broker.Produced {
	if p.Deadline.IsZero() {
		p.Deadline = soon()
	}
	return once(m.t, func(done func(broker.Produced)) { m.broker.Produce(p, done) })
}

// put appends a record of so many bytes.
func (m *member) put(p record.Partition, size int) record.Offset {
	m.t.Helper()
	a := <-m.send(broker.Produce{Topic: "t", Partition: p, Acks: -1, Frame: frame(size)})
	if a.Err != nil {
		m.t.Fatal(a.Err)
	}
	return a.Base
}

// fetch asks for partitions 0..n-1 of topic "t" from offsets.
func fetching(minBytes int, wait time.Duration, from ...record.Offset) broker.Fetch {
	f := broker.Fetch{MinBytes: minBytes, MaxBytes: 1 << 20, Deadline: time.Now().Add(wait)}
	for p, o := range from {
		f.Partitions = append(f.Partitions, broker.FetchPartition{
			Topic: "t", Partition: record.Partition(p), From: o, MaxBytes: 1 << 20,
			Epoch: record.NoEpoch, LastEpoch: record.NoEpoch,
		})
	}
	return f
}

func (m *member) fetch(f broker.Fetch) (answer <-chan broker.Fetched, cancel func()) {
	answer = once(m.t, func(done func(broker.Fetched)) { cancel = m.broker.Fetch(f, done) })
	return answer, cancel
}

func wantCode(t *testing.T, what string, err error, code fault.Code) {
	t.Helper()
	if code == fault.None && err == nil {
		return
	}
	if !errors.Is(err, code) {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

// offsets tells the base offsets of what was fetched.
func offsets(t *testing.T, p broker.FetchedPartition) (at []record.Offset) {
	t.Helper()
	if p.Err != nil {
		t.Fatal(p.Err)
	}
	for _, b := range p.Batches {
		for len(b) > 0 {
			batch, rest, err := record.Next(b)
			if err != nil {
				t.Fatal(err)
			}
			at, b = append(at, batch.BaseOffset()), rest
		}
	}
	return at
}

func equal(at []record.Offset, want ...record.Offset) bool { return fmt.Sprint(at) == fmt.Sprint(want) }
