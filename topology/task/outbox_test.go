package task_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

var tooLarge = fault.New(fault.RecordTooLarge, "too large")

// refuseFirst sends a, b, c as one batch, refuses it as too large, and returns what is sent then.
func refuseFirst(t *testing.T, d topology.Decision) (*harness, task.Effects) {
	t.Helper()
	h := newHarness(t, build(t, copying(topology.OnError(d.Always))), nil)
	h.begin()
	first := h.open(h.fetched(0, "a", "b", "c"), 1)
	wantValues(t, first, "a", "b", "c")
	return h, h.step(task.Sent{Seq: first[0].Seq, Err: tooLarge})
}

// Goal: a refused batch is sent again record by record and in order, so that only the bad record meets its
// policy. Method: the second of three records is too large and skipped.
func TestRefusedBatchIsSplit(t *testing.T) {
	h, e := refuseFirst(t, topology.Skip)
	wantValues(t, e.Send, "a")
	e = h.acknowledge(e.Send...)
	wantValues(t, e.Send, "b")
	e = h.step(task.Sent{Seq: e.Send[0].Seq, Err: tooLarge})
	wantValues(t, e.Send, "c")
	if e.Commit != nil || len(h.seen.decisions) != 1 || h.seen.decisions[0] != plan.Skip {
		t.Fatalf("commit %+v, decisions %v", e.Commit, h.seen.decisions)
	}
	wantCommit(t, h.acknowledge(e.Send...), 3)
}

// Goal: a record that its topic refuses is kept as a dead letter, and the offset waits for that. Method: the
// first of three records is refused; commit is looked at until the dead letter is acknowledged.
func TestRefusedRecordBecomesDeadLetter(t *testing.T) {
	h, e := refuseFirst(t, topology.DeadLetter)
	e = h.step(task.Sent{Seq: e.Send[0].Seq, Err: tooLarge})
	wantValues(t, e.Send, "b")
	if len(e.Describe) != 1 || e.Describe[0] != (task.Describe{Topic: "app-dead-letter", Create: true}) {
		t.Fatalf("describe %+v", e.Describe)
	}
	e = h.acknowledge(e.Send...)
	if e = h.acknowledge(e.Send...); e.Commit != nil || len(e.Send) != 0 {
		t.Fatalf("goes on without the dead letter: %+v", e)
	}
	e = h.step(task.Described{Topic: "app-dead-letter", Partitions: 1})
	wantValues(t, e.Send, "a")
	for r, err := range e.Send[0].Batch().Records(0) {
		if err != nil || string(r.Key) != "k" || r.Headers[0].Key != plan.HeaderError || r.TimestampMs != 500 {
			t.Fatalf("dead letter %+v, %v", r, err)
		}
	}
	wantCommit(t, h.acknowledge(e.Send...), 3)
}

// Goal: a refused record under Fail, and a refused dead letter under any policy, stop the task at once and
// nothing beyond is committed. Method: both, with a look at the position in the error.
func TestRefusedRecordFails(t *testing.T) {
	h, e := refuseFirst(t, topology.Fail)
	err := h.mustFail(task.Sent{Seq: e.Send[0].Seq, Err: tooLarge})
	var refused *plan.RecordError
	if !errors.As(err, &refused) || refused.Stage != plan.StageProduce || refused.Offset != 0 ||
		refused.Topic != "in" {
		t.Fatalf("error %v", err)
	}
	h, e = refuseFirst(t, topology.DeadLetter)
	h.step(task.Sent{Seq: e.Send[0].Seq, Err: tooLarge})
	e = h.step(task.Described{Topic: "app-dead-letter", Partitions: 1})
	h.mustFail(task.Sent{Seq: e.Send[0].Seq, Err: tooLarge})
}

// Goal: an error that is not about the records stops the task, whatever the policy. Method: a lost topic.
func TestSendFails(t *testing.T) {
	h := newHarness(t, build(t, copying(topology.OnError(topology.Skip.Always))), nil)
	h.begin()
	first := h.open(h.fetched(0, "a"), 1)
	err := h.mustFail(task.Sent{Seq: first[0].Seq, Err: fault.New(fault.StorageError, "disk is gone")})
	if fault.CodeOf(err) != fault.StorageError || !strings.Contains(err.Error(), "out/0") {
		t.Fatalf("error %v", err)
	}
}

// Goal: records for a topic that is not there wait for it, hold back the commit, and meet their policy in the
// end. Method: Describe fails until the time is over; then the topic appears.
func TestMissingTopic(t *testing.T) {
	h := newHarness(t, build(t, copying(topology.OnError(topology.Skip.Always))), nil)
	missing := task.Described{Topic: "out", Err: fault.New(fault.UnknownTopicOrPartition, "no such topic")}
	h.begin()
	e := h.fetched(0, "a")
	for range 3 { // an answer that says nothing about the topic does not count
		e = h.step(task.Described{Topic: "out", Err: fault.New(fault.RequestTimedOut, "busy")})
		h.now = h.now.Add(time.Hour)
		e = h.step(task.Tick{})
	}
	first := h.now
	for tries := 0; h.now.Before(first.Add(task.DefaultDescribeWait)); tries++ {
		if len(e.Describe) != 1 || e.Describe[0].Create || e.Commit != nil || tries > 100 {
			t.Fatalf("try %d: %+v", tries, e)
		}
		e = h.step(missing)
		e = h.after(e.Wake.Sub(h.now), task.Tick{})
	}
	e = h.step(missing)
	wantCommit(t, e, 1)
	if len(h.seen.decisions) != 1 {
		t.Fatalf("decisions %v", h.seen.decisions)
	}
	h.fetched(1, "b")
	wantValues(t, h.step(task.Described{Topic: "out", Partitions: 1}).Send, "b")
}

// Goal: a task with a full outbox sleeps until an answer comes, whatever else is due. Method: a wall-clock
// schedule falls due meanwhile; it runs when there is room.
func TestFullOutboxSleeps(t *testing.T) {
	topo := build(t, func(b *topology.Builder) {
		topology.Process(topology.From(b, in), func() topology.Processor[string, string, string, string] {
			return &ticking{}
		}).To(out)
	})
	h := newHarness(t, topo, func(c *task.Config) { c.MaxUnsentBytes = 1 })
	h.begin()
	first := h.open(h.fetched(0, "a"), 1)
	if e := h.after(time.Minute, task.Tick{}); !e.Wake.IsZero() || len(e.Send) != 0 {
		t.Fatalf("effects %+v", e)
	}
	wantValues(t, h.acknowledge(first...).Send, "tick")
}

// ticking forwards what comes, and a tick every second.
type ticking struct{}

func (ticking) Init(ctx *topology.ProcessorContext[string, string]) error {
	ctx.Schedule(time.Second, topology.WallClockTime, func(time.Time) error {
		ctx.Forward(topology.Record[string, string]{Value: "tick"})
		return nil
	})
	return nil
}

func (ticking) Process(
	ctx *topology.ProcessorContext[string, string], r topology.Record[string, string],
) error {
	ctx.Forward(r)
	return nil
}

func (ticking) Close() error { return nil }

// Goal: records go to the partition of their key, those without a key to one partition a batch, round robin;
// and more partitions are used as soon as the topic has them. Method: keyed and keyless records over 3, then
// 6 partitions.
func TestPartitions(t *testing.T) {
	h := newHarness(t, build(t, copying()), nil)
	h.begin()
	first := h.open(h.fetched(0, "x", "y"), 3)
	if want := record.PartitionFor([]byte("k"), 3); len(first) != 1 || first[0].Partition != want {
		t.Fatalf("keyed records went to %+v, expected partition %d", first, want)
	}
	h.acknowledge(first...)
	var went []record.Partition
	for i := range record.Offset(3) {
		e := h.fetched(2+2*i, "", "")
		if len(e.Send) != 1 || e.Send[0].Records != 2 {
			t.Fatalf("keyless records went to %+v", e.Send)
		}
		went = append(went, e.Send[0].Partition)
		h.acknowledge(e.Send...)
	}
	if !slices.Equal(went, []record.Partition{0, 1, 2}) {
		t.Fatalf("keyless batches went to %v", went)
	}
	h.step(task.Described{Topic: "out", Partitions: 6})
	e := h.fetched(8, "z")
	if want := record.PartitionFor([]byte("k"), 6); e.Send[0].Partition != want {
		t.Fatalf("went to %d, expected %d", e.Send[0].Partition, want)
	}
}

// Goal: batches keep their size, and a larger record has one of its own; the room in front is as asked.
// Method: a limit that two small records just miss.
func TestBatchBytes(t *testing.T) {
	small, large := strings.Repeat("s", 100), strings.Repeat("l", 1000)
	h := newHarness(t, build(t, copying()), func(c *task.Config) {
		c.BatchBytes, c.FrameRoom, c.Codec = 260, 64, record.CodecGzip
	})
	h.begin()
	sends := h.open(h.fetched(0, small, large, small, small), 1)
	var sizes []int
	for len(sends) > 0 {
		if sends[0].Room != 64 || len(values(t, sends[0])) != sends[0].Records {
			t.Fatalf("send %+v", sends[0])
		}
		sizes = append(sizes, sends[0].Records)
		sends = h.acknowledge(sends...).Send
	}
	if !slices.Equal(sizes, []int{1, 1, 1, 1}) {
		t.Fatalf("batches of %v records", sizes)
	}
}
