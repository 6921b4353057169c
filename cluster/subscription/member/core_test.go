package member

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// bench is a core whose coordinator does as it should; a test answers the rest.
type bench struct {
	t          *testing.T
	c          *Core
	now        time.Time
	open       []Ask // that the test has to answer
	told       []string
	done       []Committed
	canceled   []uint64
	end        error
	generation int32
	given      []assign.Partition
}

func tp(p int) client.TopicPartition {
	return client.TopicPartition{Topic: "t", Partition: record.Partition(p)}
}

func newBench(t *testing.T, change func(*client.SubscribeRequest)) *bench {
	r := client.SubscribeRequest{
		Group: "g", Topics: []string{"t"}, Start: client.TimestampEarliest, OutOfRange: client.TimestampEarliest,
		SessionTimeout: 10 * time.Second, RebalanceTimeout: 10 * time.Second, Credit: 1000, MaxPartitionBytes: 1000,
	}
	if change != nil {
		change(&r)
	}
	b := &bench{t: t, now: time.Unix(1000, 0)}
	for n := range 2 {
		b.given = append(b.given, assign.Partition{Topic: "t", ID: record.TopicID{1}, Number: record.Partition(n)})
	}
	b.c = New(Config{SubscribeRequest: r, Rand: rand.New(rand.NewPCG(1, 1))}, b.now)
	b.step(Tick{})
	return b
}

// step gives an input, and plays the coordinator.
func (b *bench) step(in Input) {
	e := b.c.Step(b.now, in)
	for _, t := range e.Tell {
		switch x := t.Event.(type) {
		case nil:
			b.told = append(b.told, fmt.Sprintf("records %d: %d-%d", t.Records.Partition.Number, t.Records.From, t.Records.Next))
		case *client.PartitionError:
			b.told = append(b.told, fmt.Sprintf("error %d: %s", x.Partition, fault.CodeOf(x.Err)))
		case client.Lost:
			b.told = append(b.told, fmt.Sprintf("lost %d: %s", len(x.Partitions), fault.CodeOf(x.Err)))
		case client.Assigned:
			for _, p := range x.Partitions {
				b.told = append(b.told, fmt.Sprintf("assigned %d at %d", p.Partition, p.Offset))
			}
		}
	}
	b.done = append(b.done, e.Done...)
	b.canceled = append(b.canceled, e.Cancel...)
	if e.End != nil {
		b.end = e.End
	}
	for _, a := range e.Ask {
		switch q := a.What.(type) {
		case group.Join:
			b.generation++
			b.step(Answered{a.Token, group.Joined{Member: "m", Generation: b.generation, Leader: "other"}, nil})
		case group.Sync:
			bytes := assign.EncodeAssignment(assign.Assignment{Partitions: b.given})
			b.step(Answered{a.Token, group.Synced{Assignment: bytes}, nil})
		case group.Heartbeat:
			b.step(Answered{a.Token, nil, nil})
		default:
			_ = q
			b.open = append(b.open, a)
		}
	}
}

// answer ends the oldest open question of type Q.
func answer[Q any](b *bench, answer any, err error) Q {
	b.t.Helper()
	for i, a := range b.open {
		if q, ok := a.What.(Q); ok {
			b.open = slices.Delete(b.open, i, i+1)
			b.step(Answered{a.Token, answer, err})
			return q
		}
	}
	var none Q
	b.t.Fatalf("no %T is asked: %+v", none, b.open)
	return none
}

// says checks what was told since the last time.
func (b *bench) says(want ...string) {
	b.t.Helper()
	if got := strings.Join(b.told, "; "); got != strings.Join(want, "; ") {
		b.t.Errorf("told %q, want %q", got, strings.Join(want, "; "))
	}
	b.told = nil
}

// reads are the partitions of the fetch that is open.
func (b *bench) reads() (out []string) {
	for _, a := range b.open {
		if q, ok := a.What.(Fetch); ok && !slices.Contains(b.canceled, a.Token) {
			for _, p := range q.Partitions {
				out = append(out, fmt.Sprintf("%d@%d", p.Number, p.From))
			}
		}
	}
	slices.Sort(out)
	return out
}

func (b *bench) reading(want ...string) {
	b.t.Helper()
	if got := b.reads(); !slices.Equal(got, want) {
		b.t.Errorf("reads %v, want %v", got, want)
	}
}

func refused(codes ...fault.Code) (out []Fetched) {
	for _, c := range codes {
		f := Fetched{}
		if c != fault.None {
			f.Err = fault.New(c, "refused")
		}
		out = append(out, f)
	}
	return out
}

// Goal: where nothing is committed reading begins as the policy says; without one the partition waits for a seek.
// Method: two partitions, one of them with a position.
func TestStart(t *testing.T) {
	b := newBench(t, nil)
	answer[Positions](b, []record.Offset{7, -1}, nil)
	b.says("assigned 0 at 7")
	q := answer[Offsets](b, []client.OffsetAnswer{{Offset: 9}, {Offset: 3}}, nil)
	if q.Queries[1].TimestampMs != client.TimestampEarliest {
		t.Errorf("asked %+v", q)
	}
	b.says("assigned 1 at 3")
	b = newBench(t, func(r *client.SubscribeRequest) { r.Start = client.StartNone })
	answer[Positions](b, []record.Offset{7, -1}, nil)
	b.says("assigned 0 at 7", "assigned 1 at -1", "error 1: offset out of range")
	b.reading("0@7")
	b.step(Seek{Positions: []client.Position{{Topic: "t", Partition: 1, Offset: 4}}})
	answer[Fetch](b, refused(fault.None), nil) // the one that was cancelled for it
	b.reading("0@7", "1@4")
}

// Goal: a position that has left the log is found again as the policy says, else the partition stops until it is
// resumed; what passes is asked again later. Method: refusals of a fetch.
func TestOutOfRange(t *testing.T) {
	b := newBench(t, nil)
	answer[Positions](b, []record.Offset{7, 8}, nil)
	b.told = nil
	answer[Fetch](b, refused(fault.None, fault.OffsetOutOfRange), nil)
	answer[Offsets](b, []client.OffsetAnswer{{Offset: 99}, {Offset: 50}}, nil)
	b.says()
	answer[Fetch](b, refused(fault.None), nil)
	if len(b.reads()) != 2 {
		t.Errorf("reads %v", b.reads())
	}
	b = newBench(t, func(r *client.SubscribeRequest) { r.OutOfRange = client.StartNone })
	answer[Positions](b, []record.Offset{7, 8}, nil)
	q := answer[Fetch](b, refused(fault.OffsetOutOfRange, fault.NotLeader), nil)
	first, second := q.Partitions[0].Partition, q.Partitions[1].Partition
	b.says("assigned 0 at 7", "assigned 1 at 8", fmt.Sprintf("error %d: offset out of range", first.Number))
	b.reading()
	b.now = b.now.Add(time.Second)
	b.step(Tick{})
	if got := b.reads(); len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprint(second.Number)) {
		t.Errorf("reads %v", got)
	}
	b.step(Resume{[]client.TopicPartition{nameOf(first)}})
	answer[Fetch](b, refused(fault.None), nil)
	b.reading("0@7", "1@8")
}

// Goal: what is paused is not read, records cost credit, and without it nothing is read. Method: batches of the size
// of the credit.
func TestPauseAndCredit(t *testing.T) {
	b := newBench(t, nil)
	answer[Positions](b, []record.Offset{0, 0}, nil)
	b.step(Pause{[]client.TopicPartition{tp(1)}})
	answer[Fetch](b, refused(fault.None, fault.None), nil)
	b.told = nil
	b.reading("0@0")
	answer[Fetch](b, []Fetched{{Bytes: 1000, Next: 10, Readable: 10}}, nil)
	b.says("records 0: 0-10")
	b.reading()
	b.step(Resume{[]client.TopicPartition{tp(1)}})
	b.reading()
	b.step(Credit{100})
	b.reading("0@10", "1@0")
	q := answer[Fetch](b, []Fetched{{Readable: 12}, {Readable: 14}}, nil) // compaction has left nothing
	if q.MaxBytes != 100 {
		t.Errorf("asks for %d bytes, the credit is 100", q.MaxBytes)
	}
	if len(b.told) != 2 || len(b.reads()) != 2 || b.reads()[0] == "0@10" {
		t.Errorf("told %v, reads %v", b.told, b.reads())
	}
}

// Goal: commits go out one after the other, those that wait as one; a rebalance delays and does not lose them; what
// is not held is refused. Method: three commits, the first of which meets a rebalance.
func TestCommits(t *testing.T) {
	b := newBench(t, nil)
	answer[Positions](b, []record.Offset{0, 0}, nil)
	commit := func(id uint64, p int, o record.Offset) {
		b.step(Commit{id, []client.GroupOffset{{TopicPartition: tp(p), Offset: o}}})
	}
	commit(1, 0, 5)
	commit(2, 0, 6)
	commit(3, 1, 2)
	commit(4, 7, 1)
	if len(b.done) != 1 || b.done[0].ID != 4 || fault.CodeOf(b.done[0].Errs[0]) != fault.IllegalGeneration {
		t.Errorf("a partition that is not held: %+v", b.done)
	}
	q := answer[group.CommitOffsets](b, nil, fault.New(fault.RebalanceInProgress, "rebalancing"))
	if len(q.Positions) != 1 || q.Positions[0].Offset != 5 || b.c.generation != 2 {
		t.Errorf("sent %+v, then in generation %d", q, b.c.generation)
	}
	b.now = b.now.Add(200 * time.Millisecond)
	b.step(Tick{})
	q = answer[group.CommitOffsets](b, []error{nil, nil}, nil)
	if len(q.Positions) != 2 || q.Positions[0].Offset != 6 || q.Generation != 2 || len(b.done) != 4 {
		t.Errorf("sent %+v, ended %+v", q, b.done)
	}
	for _, d := range b.done[1:] {
		if d.Errs[0] != nil {
			t.Errorf("commit %d: %v", d.ID, d.Errs)
		}
	}
}

// Goal: a member that the coordinator does not know loses all and joins as a new one; one whose instance was taken
// over is over; one that hears nothing gives up by itself. Method: refusals of a commit, and silence.
func TestFenced(t *testing.T) {
	begin := func() *bench {
		b := newBench(t, nil)
		answer[Positions](b, []record.Offset{0, 0}, nil)
		b.told = nil
		b.step(Commit{1, []client.GroupOffset{{TopicPartition: tp(0), Offset: 5}}})
		return b
	}
	b := begin()
	answer[group.CommitOffsets](b, nil, fault.New(fault.UnknownMember, "gone"))
	b.says("lost 2: unknown member")
	if b.c.id != "" || b.c.State() != Joining || len(b.done) != 1 || b.done[0].Errs[0] == nil {
		t.Errorf("%q in state %d, %+v", b.c.id, b.c.State(), b.done)
	}
	b = begin()
	answer[group.CommitOffsets](b, nil, fault.New(fault.FencedInstanceID, "taken over"))
	b.says("lost 2: fenced instance id")
	if b.c.State() != Over || fault.CodeOf(b.end) != fault.FencedInstanceID {
		t.Errorf("state %d, %v", b.c.State(), b.end)
	}
	b = begin()
	b.now = b.now.Add(9 * time.Second)
	b.step(Commit{2, []client.GroupOffset{{TopicPartition: tp(0), Offset: 6}}})
	if b.told[0] != "lost 2: coordinator not available" || fault.CodeOf(b.done[0].Errs[0]) != fault.IllegalGeneration {
		t.Errorf("told %v, %+v", b.told, b.done)
	}
}

// Goal: a close ends the commits first; a dynamic member leaves, a static one only when it is asked to. Method: a
// table.
func TestClose(t *testing.T) {
	for name, tt := range map[string]struct {
		instance      string
		static, leave bool
	}{
		"dynamic": {"", false, true}, "static": {"i", false, false}, "static that leaves": {"i", true, true},
	} {
		b := newBench(t, func(r *client.SubscribeRequest) { r.Instance = tt.instance })
		answer[Positions](b, []record.Offset{0, 0}, nil)
		b.step(Commit{1, []client.GroupOffset{{TopicPartition: tp(0), Offset: 5}}})
		b.step(Close{Static: tt.static, Err: fault.New(fault.Closing, "closed")})
		if b.end != nil {
			t.Errorf("%s: over before its commit", name)
		}
		answer[group.CommitOffsets](b, []error{nil}, nil)
		if tt.leave {
			if in := answer[group.Leave](b, nil, nil); in.Members[0].ID != "m" {
				t.Errorf("%s: leaves as %+v", name, in)
			}
		}
		if fault.CodeOf(b.end) != fault.Closing || b.c.State() != Over || len(b.done) != 1 || b.done[0].Errs[0] != nil {
			t.Errorf("%s: %v, state %d, %+v", name, b.end, b.c.State(), b.done)
		}
	}
}
