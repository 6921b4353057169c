package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// fakeGroup is a Subscription that tells what a test says, and notes what the member does.
type fakeGroup struct {
	mu        sync.Mutex
	events    []GroupEvent
	signal    chan struct{}
	end       error
	committed map[TopicPartition]record.Offset
	commitErr func(n int) error
	commits   int
	did       []string // in order
	seeks     []Position
	credit    int // bytes that were granted and not used
	held      int // answers that were not freed
	request   SubscribeRequest
	closed    chan struct{}
}

func (f *fakeGroup) tell(e ...GroupEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range e {
		if r, ok := e.(GroupRecords); ok {
			f.credit -= r.Bytes
			f.held++
			r.Free = func() { f.mu.Lock(); f.held--; f.mu.Unlock() }
			f.events = append(f.events, r)
			continue
		}
		f.events = append(f.events, e)
	}
	poke(f.signal)
}

func (f *fakeGroup) Receive(ctx context.Context) (GroupEvent, error) {
	for {
		f.mu.Lock()
		if len(f.events) > 0 {
			e := f.events[0]
			f.events = f.events[1:]
			f.mu.Unlock()
			return e, nil
		}
		err := f.end
		f.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-f.signal:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fakeGroup) Commit(o []GroupOffset, done func([]error)) {
	f.mu.Lock()
	f.commits++
	var err error
	if f.commitErr != nil {
		err = f.commitErr(f.commits)
	}
	errs := make([]error, len(o))
	for i := range o {
		if errs[i] = err; err == nil {
			f.committed[o[i].TopicPartition] = o[i].Offset
		}
	}
	f.did = append(f.did, "commit")
	f.mu.Unlock()
	done(errs)
}

func (f *fakeGroup) note(what string) { f.mu.Lock(); f.did = append(f.did, what); f.mu.Unlock() }

func (f *fakeGroup) Release(...TopicPartition) { f.note("release") }
func (f *fakeGroup) Pause(...TopicPartition)   { f.note("pause") }
func (f *fakeGroup) Resume(...TopicPartition)  { f.note("resume") }

func (f *fakeGroup) Seek(p ...Position) {
	f.note("seek")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seeks = append(f.seeks, p...)
}

func (f *fakeGroup) Credit(n int) { f.mu.Lock(); f.credit += n; f.mu.Unlock() }

func (f *fakeGroup) Close(context.Context) error {
	f.note("close")
	close(f.closed)
	return nil
}

func (f *fakeGroup) Leave(ctx context.Context) error { return f.Close(ctx) }

func (f *fakeGroup) at(p record.Partition) record.Offset {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := f.committed[TopicPartition{"t", p}]; ok {
		return o
	}
	return -1
}

// withGroup makes a cluster that has one group.
type withGroup struct {
	*fakeCluster
	sub *fakeGroup
}

func (w withGroup) Subscribe(_ context.Context, r SubscribeRequest) (Subscription, error) {
	w.sub.request = r
	return w.sub, nil
}

// member makes a member of a group that has partitions 0 and 1 of t, both at 0.
func member(t *testing.T, opts ...GroupOption) (*Group, *fakeGroup) {
	t.Helper()
	f := &fakeGroup{signal: make(chan struct{}, 1), committed: map[TopicPartition]record.Offset{}, closed: make(chan struct{})}
	c := New(withGroup{newCluster(map[string]int{"t": 2}), f}, impatient)
	t.Cleanup(func() { _ = c.Close() })
	g, err := c.Group(within(t), "g", []string{"t"}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	f.tell(Assigned{Member: "m-1", Generation: 3, Partitions: []Position{{"t", 0, 0}, {"t", 1, 0}}})
	return g, f
}

// some are records [from, to) of a partition.
func some(t *testing.T, p record.Partition, from, to int) GroupRecords {
	t.Helper()
	var b record.Builder
	for i := from; i < to; i++ {
		if err := b.Append(&record.Record{Value: []byte{byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	frame, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	batch := record.Batch(frame[state.FrameRoom:])
	batch.SetBaseOffset(record.Offset(from))
	return GroupRecords{Topic: "t", Partition: p, From: record.Offset(from), Next: record.Offset(to), Batches: [][]byte{batch},
		Bytes: len(batch)}
}

func poll(t *testing.T, g *Group, want ...int) {
	t.Helper()
	rs, err := g.Poll(within(t))
	var got []int
	for _, r := range rs {
		got = append(got, int(r.Value[0]))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("polled %v, %v, want %v", got, err, want)
	}
}

// Goal: what the call before returned is committed, in time, when partitions go and in Close; what the last one
// returned is not. Credit and buffers come back. Method: a script of events.
func TestAutoCommit(t *testing.T) { synctest.Test(t, autoCommit) }

func autoCommit(t *testing.T) {
	g, f := member(t, WithAutoCommit(time.Millisecond))
	f.tell(some(t, 0, 0, 3))
	poll(t, g, 0, 1, 2)
	if f.at(0) != -1 {
		t.Fatal("committed before it was done")
	}
	ctx, cancel := context.WithCancel(within(t))
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := g.Poll(ctx); !errors.Is(err, context.Canceled) || f.at(0) != 3 { // while it waits
		t.Fatal(err, f.at(0))
	}
	f.tell(some(t, 0, 3, 5), Revoked{[]TopicPartition{{"t", 0}}, time.Now().Add(time.Minute)}, some(t, 1, 0, 1))
	poll(t, g, 3, 4)
	poll(t, g, 0)
	if f.at(0) != 5 || len(g.Positions()) != 1 {
		t.Fatal(f.at(0), g.Positions())
	}
	f.tell(some(t, 1, 1, 2))
	poll(t, g, 1)
	if err := g.Close(); err != nil || f.at(1) != 1 {
		t.Fatal(err, f.at(1))
	}
	if f.credit != 0 || f.held != 0 || f.request.Credit != DefaultPrefetchBytes {
		t.Fatalf("%d bytes of credit and %d answers are left", f.credit, f.held)
	}
	if _, err := g.Poll(within(t)); !errors.Is(err, fault.Closing) {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}

// Goal: a loop that is left in the middle of an answer commits what it got, and what it did not get is dropped with
// its partition. Method: leave it, commit, and revoke.
func TestGroupLoop(t *testing.T) {
	g, f := member(t, WithManualCommit())
	raw := topology.NewTopic("t", serde.Bytes, serde.Bytes)
	f.tell(some(t, 0, 0, 5), Revoked{[]TopicPartition{{"t", 0}}, time.Now().Add(time.Minute)}, some(t, 1, 7, 8))
	for r, err := range Records(within(t), g, raw) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Record.Offset == 1 {
			break
		}
	}
	if err := g.Commit(within(t)); err != nil || f.at(0) != 2 || f.at(1) != 0 {
		t.Fatal(err, f.committed)
	}
	poll(t, g, 2, 3, 4)
	poll(t, g, 7)
	if f.at(0) != 2 {
		t.Fatal("a manual member committed by itself")
	}
	if err := g.CommitRecords(within(t), Record{Topic: "t", Partition: 1, Offset: 7}, Record{Topic: "t", Partition: 1, Offset: 4}); err != nil ||
		f.at(1) != 8 {
		t.Fatal(err, f.at(1))
	}
	if err := g.Close(); err != nil || f.credit != 0 {
		t.Fatal(err, f.credit)
	}
}

// Goal: a commit is repeated while its refusal may pass, and a refused one is not taken for done. Method: refuse by
// number.
func TestCommitRefused(t *testing.T) {
	g, f := member(t, WithManualCommit())
	f.tell(some(t, 0, 0, 3))
	poll(t, g, 0, 1, 2)
	f.commitErr = func(n int) error {
		switch n {
		case 1:
			return fault.New(fault.CoordinatorNotAvailable, "moving")
		case 3, 4:
			return fault.New(fault.IllegalGeneration, "over")
		}
		return nil
	}
	if err := g.Commit(within(t)); err != nil || f.commits != 2 || f.at(0) != 3 {
		t.Fatal(err, f.commits)
	}
	if err := g.Commit(within(t)); err != nil || f.commits != 2 { // nothing is new
		t.Fatal(err, f.commits)
	}
	f.tell(some(t, 0, 3, 4))
	poll(t, g, 3)
	told := make(chan error, 1)
	g.CommitAsync(func(err error) { told <- err })
	var pe *PartitionError
	if err := <-told; !errors.Is(err, fault.IllegalGeneration) || !errors.As(err, &pe) || pe.Error() != "commit t/0 at 4: over" {
		t.Fatal(err)
	}
	if err := g.Commit(within(t)); !errors.Is(err, fault.IllegalGeneration) {
		t.Fatal(err)
	}
	if err := g.Commit(within(t)); err != nil || f.at(0) != 4 {
		t.Fatal(err)
	}
}

// Goal: callbacks tell what comes and goes, with positions, and in time: what they commit is committed before the
// partition is given back. Method: assign, revoke, lose.
func TestGroupCallbacks(t *testing.T) { synctest.Test(t, groupCallbacks) }

func groupCallbacks(t *testing.T) {
	var told []string
	var g *Group
	at := func(what string, p []Position) {
		for _, p := range p {
			told = append(told, what+"/"+string(rune('0'+p.Partition))+"@"+string(rune('0'+p.Offset)))
		}
	}
	g, f := member(t, WithManualCommit(),
		OnAssigned(func(ctx context.Context, p []Position) {
			at("assigned", p)
			if err := g.Seek(ctx, "t", FromOffset(2), 1); err != nil {
				t.Error(err)
			}
		}),
		OnRevoked(func(ctx context.Context, p []Position) {
			at("revoked", p)
			if by, ok := ctx.Deadline(); !ok || time.Until(by) < 50*time.Second {
				t.Error("no deadline")
			}
			if err := g.Commit(ctx); err != nil {
				t.Error(err)
			}
		}),
		OnLost(func(p []Position, why error) {
			at("lost", p)
			if !errors.Is(why, fault.UnknownMember) {
				t.Error(why)
			}
		}))
	f.tell(some(t, 0, 0, 3), Revoked{[]TopicPartition{{"t", 0}}, time.Now().Add(time.Minute)},
		Lost{[]TopicPartition{{"t", 0}}, nil}, Lost{[]TopicPartition{{"t", 1}}, fault.New(fault.UnknownMember, "gone")})
	poll(t, g, 0, 1, 2)
	short, cancel := context.WithTimeout(within(t), 20*time.Millisecond)
	defer cancel()
	if _, err := g.Poll(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if want := []string{"assigned/0@0", "assigned/1@0", "revoked/0@3", "lost/1@2"}; !slices.Equal(told, want) {
		t.Error(told)
	}
	if want := []string{"seek", "commit", "release"}; !slices.Equal(f.did, want) {
		t.Error(f.did)
	}
	if id, generation := g.Member(); id != "m-1" || generation != 3 || len(g.Positions()) != 0 || g.Name() != "g" {
		t.Error(id, generation, g.Positions())
	}
}

// Goal: what is on its way when a partition is paused comes again after Resume, and costs no credit. Method: pause
// between two answers.
func TestGroupPause(t *testing.T) {
	g, f := member(t)
	f.tell(some(t, 0, 0, 2))
	poll(t, g, 0, 1)
	if err := g.Pause("t", 0); err != nil || len(g.Paused()) != 1 {
		t.Fatal(err)
	}
	f.tell(some(t, 0, 2, 3), some(t, 1, 0, 1))
	poll(t, g, 0)
	if err := g.Resume("t"); err != nil || len(g.Paused()) != 0 {
		t.Fatal(err)
	}
	if want := []Position{{"t", 0, 2}}; !slices.Equal(f.seeks, want) {
		t.Fatal(f.seeks)
	}
	if err := g.Pause("t", 5); !errors.Is(err, fault.InvalidRequest) {
		t.Fatal(err)
	}
	if err := g.Seek(within(t), "t", Start{}); !errors.Is(err, fault.InvalidRequest) {
		t.Fatal(err)
	}
}

// Goal: a refused partition, damaged bytes and the end of the membership are told, and closing the client ends a poll
// and the membership. Method: one after the other.
func TestGroupTrouble(t *testing.T) {
	g, f := member(t)
	f.tell(&PartitionError{Topic: "t", Partition: 1, Err: fault.New(fault.OffsetOutOfRange, "none")})
	if _, err := g.Poll(within(t)); !errors.Is(err, fault.OffsetOutOfRange) {
		t.Fatal(err)
	}
	bad := some(t, 0, 0, 3)
	bad.Batches[0][len(bad.Batches[0])-1] ^= 1
	f.tell(bad)
	if _, err := g.Poll(within(t)); !errors.Is(err, fault.CorruptRecord) || len(f.seeks) != 1 || f.seeks[0].Offset != 0 {
		t.Fatal(err, f.seeks)
	}
	f.mu.Lock()
	f.end = fault.New(fault.FencedInstanceID, "another one")
	f.mu.Unlock()
	for range 2 {
		if _, err := g.Poll(within(t)); !errors.Is(err, fault.FencedInstanceID) {
			t.Fatal(err)
		}
	}
	f.end = nil
	done := make(chan error)
	go func() {
		_, err := g.Poll(context.Background())
		done <- err
	}()
	if err := g.c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, fault.Closing) {
		t.Fatal(err)
	}
	<-f.closed
	if _, err := g.c.Group(within(t), "g", []string{"t"}); !errors.Is(err, fault.Closing) {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}

// Goal: a membership that can't be is refused at once. Method: no topics, and starts that groups do not know.
func TestGroupRefusals(t *testing.T) {
	c := newClient(t, newCluster(nil))
	if _, err := c.Group(within(t), "g", nil); !errors.Is(err, fault.InvalidRequest) {
		t.Error(err)
	}
	for _, s := range []Start{FromOffset(1), FromLast(2), {}} {
		if _, err := c.Group(within(t), "g", []string{"t"}, WithStart(s)); !errors.Is(err, fault.InvalidRequest) {
			t.Errorf("%s: %v", s, err)
		}
	}
}
