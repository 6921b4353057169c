package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/topology/task"
)

// portsOn starts a member and gives a task's ports on it.
func portsOn(t *testing.T) (m *Member, p *taskPorts, end context.CancelFunc) {
	t.Helper()
	m, err := Start(t.Context(), Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	life, end := context.WithCancel(t.Context())
	return m, newTaskPorts(life, m, "app", testProducer), end
}

// testProducer stands for what the metadata log gives a task.
var testProducer = placement.TaskProducer{ID: 1 << 40, Epoch: 3}

var portsTask = task.ID{App: "app"}

// makeTopic makes a topic and waits for its leader.
func (m *Member) makeTopic(t *testing.T, name string) {
	t.Helper()
	if _, err := m.Client().CreateTopic(t.Context(), client.NewTopic{Name: name}); err != nil {
		t.Fatal(err)
	}
	err := retried(func() error {
		a, err := m.Client().Offsets(t.Context(), client.OffsetQuery{Topic: name, TimestampMs: client.TimestampLatest})
		if err == nil {
			err = a[0].Err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// send sends a batch of n records with so many bytes in each.
func (p *taskPorts) send(seq uint64, n, size int) <-chan task.Sent {
	var b record.Builder
	for range n {
		if err := b.Append(&record.Record{TimestampMs: 1, Value: make([]byte, size)}); err != nil {
			panic(err)
		}
	}
	frame, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		panic(err)
	}
	done := make(chan task.Sent, 2)
	s := task.Send{Seq: seq, Topic: "out", Frame: frame, Room: state.FrameRoom, Records: n}
	p.Send(portsTask, s, func(s task.Sent) { done <- s })
	return done
}

func (m *Member) end(t *testing.T, topic string) record.Offset {
	t.Helper()
	a, err := m.Client().Offsets(t.Context(), client.OffsetQuery{Topic: topic, TimestampMs: client.TimestampLatest})
	if err != nil || a[0].Err != nil {
		t.Fatal(err, a)
	}
	return a[0].Offset
}

// Goal: a send is tried until its partition is there, and written once; batches follow each other in
// sequence. Method: send to a topic that is made later, then more.
func TestSendWaitsForItsTopic(t *testing.T) {
	m, p, end := portsOn(t)
	defer end()
	first := p.send(1, 3, 10)
	m.makeTopic(t, "out")
	if s := <-first; s.Err != nil || s.Seq != 1 {
		t.Fatalf("%+v", s)
	}
	for i := range uint64(5) {
		if s := <-p.send(2+i, 2, 10); s.Err != nil {
			t.Fatalf("%+v", s)
		}
	}
	if n := m.end(t, "out"); n != 13 || len(first) != 0 {
		t.Fatalf("%d records written", n)
	}
}

// Goal: a batch that is refused for good leaves no gap: what follows is written. Method: one that is too large
// between two that are not.
func TestSendAfterARefusal(t *testing.T) {
	m, p, end := portsOn(t)
	defer end()
	m.makeTopic(t, "out")
	if s := <-p.send(1, 1, 10); s.Err != nil {
		t.Fatal(s.Err)
	}
	if s := <-p.send(2, 1, 2<<20); !errors.Is(s.Err, fault.RecordTooLarge) {
		t.Fatal(s.Err)
	}
	for i := range uint64(2) {
		if s := <-p.send(3+i, 1, 10); s.Err != nil || s.Base != record.Offset(1+i) {
			t.Fatalf("%+v", s)
		}
	}
	if n := m.end(t, "out"); n != 3 {
		t.Fatalf("%d records written", n)
	}
}

// Goal: a partition that has forgotten the producer gets the batch, once. Method: make the topic anew between two
// batches.
func TestSendToAForgetfulPartition(t *testing.T) {
	m, p, end := portsOn(t)
	defer end()
	m.makeTopic(t, "out")
	if s := <-p.send(1, 1, 10); s.Err != nil {
		t.Fatal(s.Err)
	}
	if err := m.Client().DeleteTopic(t.Context(), "out"); err != nil {
		t.Fatal(err)
	}
	m.makeTopic(t, "out")
	for i := range uint64(2) {
		if s := <-p.send(2+i, 1, 10); s.Err != nil || s.Base != record.Offset(i) {
			t.Fatalf("%+v", s)
		}
	}
	if n := m.end(t, "out"); n != 2 {
		t.Fatalf("%d records written", n)
	}
}

// Goal: a life is shut out of a changelog by the next one, learns where that begins, and what it still sends is
// refused. Method: two lives of a task; the older one writes before and after the fence of the newer.
func TestFence(t *testing.T) {
	m, p, end := portsOn(t)
	defer end()
	m.makeTopic(t, "out")
	fence := func(p *taskPorts) task.Fenced {
		done := make(chan task.Fenced, 2)
		p.Fence(portsTask, task.Fence{Topic: "out"}, func(f task.Fenced) { done <- f })
		return <-done
	}
	if f := fence(p); f.Err != nil || f.Start != 0 || f.End != 0 {
		t.Fatalf("%+v", f)
	}
	if s := <-p.send(1, 3, 10); s.Err != nil {
		t.Fatal(s.Err)
	}
	next := testProducer
	next.Epoch++
	newer := newTaskPorts(t.Context(), m, "app", next)
	if f := fence(newer); f.Err != nil || f.End != 3 {
		t.Fatalf("%+v", f)
	}
	if s := <-p.send(2, 1, 10); s.Err == nil || fault.CodeOf(s.Err).Retryable() {
		t.Fatalf("an older life wrote: %+v", s)
	}
	if f := fence(p); fault.CodeOf(f.Err) != fault.ProducerFenced {
		t.Fatalf("an older life fences: %+v", f)
	}
	if s := <-newer.send(1, 1, 10); s.Err != nil || s.Base != 3 {
		t.Fatalf("%+v", s)
	}
}

// Goal: what a life sends ends with it. Method: end it while a send is tried again and again.
func TestSendEndsWithItsLife(t *testing.T) {
	_, p, end := portsOn(t)
	sent := p.send(1, 1, 10)
	end()
	select {
	case s := <-sent:
		if s.Err == nil {
			t.Fatal("written to a topic that does not exist")
		}
	case <-time.After(groupLimit):
		t.Fatal("it is still tried")
	}
}

// Goal: it is known which errors are worth another try, and for how long. Method: a table, before and after
// the time of a send is over.
func TestWorthwhile(t *testing.T) {
	m := &Member{config: Config{}.withDefaults()}
	s := &taskSend{p: newTaskPorts(context.Background(), m, "app", testProducer)}
	for code, want := range map[fault.Code][2]bool{
		fault.NotLeader: {true, false}, fault.RequestTimedOut: {true, false}, fault.DiskFull: {true, true},
		fault.RecordTooLarge: {false, false}, fault.OutOfOrderSequence: {false, false}, fault.Closing: {false, false},
	} {
		for i, until := range []time.Time{time.Now().Add(time.Hour), time.Now().Add(-time.Hour)} {
			if s.until = until; s.worthwhile(fault.New(code, "test")) != want[i] {
				t.Errorf("%v: time is over: %t, worthwhile: %t", code, i == 1, !want[i])
			}
		}
	}
}

// Goal: a commit of an older life is refused, and one of the newest life taken again and again; it comes back with its
// note. Method: commit with epochs 4, 5, 4, 5.
func TestOlderCommitIsRefused(t *testing.T) {
	m, p, end := portsOn(t)
	defer end()
	commit := func(epoch record.Epoch, next record.Offset) error {
		done := make(chan error, 2)
		at := task.Committable{Topic: "in", Next: next, Note: fmt.Sprint("note ", next)}
		p.Commit(portsTask, task.Commit{Epoch: epoch, Offsets: []task.Committable{at}},
			func(c task.Committed) { done <- c.Err })
		return <-done
	}
	for i, test := range []struct {
		epoch record.Epoch
		code  fault.Code
	}{{4, fault.None}, {5, fault.None}, {4, fault.IllegalGeneration}, {5, fault.None}} {
		err := retried(func() error { return commit(test.epoch, record.Offset(i)) }) // the coordinator comes up
		if fault.CodeOf(err) != test.code {
			t.Fatalf("commit %d with epoch %d: %v", i, test.epoch, err)
		}
	}
	located := make(chan task.Located, 2)
	p.Locate(portsTask, task.Locate{Topics: []string{"in"}}, func(l task.Located) { located <- l })
	if l := <-located; l.Err != nil || len(l.Positions) != 0 {
		t.Fatalf("a topic that does not exist: %+v", l)
	}
	m.makeTopic(t, "in")
	p.Locate(portsTask, task.Locate{Topics: []string{"in"}}, func(l task.Located) { located <- l })
	if l := <-located; l.Err != nil || len(l.Positions) != 1 || l.Positions[0].Committed != 3 || l.Positions[0].Note != "note 3" {
		t.Fatalf("what was committed comes back as %+v", l)
	}
}
