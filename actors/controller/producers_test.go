package controller

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: no producer id is handed out twice, over blocks, over new controllers and with two controllers at
// the same time. Method: ask for many in parallel, each round from a controller of a higher epoch on the
// same log; a second system is the controller that has not noticed that it is over.
func TestProducerIDsAreUnique(t *testing.T) {
	l := newLog()
	s, ref := start(t, l)
	_, other := start(t, l)
	seen := map[record.ProducerID]bool{}
	for round := range uint64(4) {
		var answers []<-chan answer
		for i := range meta.ProducerBlock + 200 {
			to := ref
			if i%3 == 0 {
				to = other
			}
			answers = append(answers, ask(to, AllocateProducerID{Deadline: time.Now().Add(limit)}))
		}
		for _, c := range answers {
			a := <-c
			if fault.CodeOf(a.err) == fault.NotController { // the other one took the block: the asker asks again
				continue
			}
			if a.err != nil {
				t.Fatal(a.err)
			}
			id := a.m.(ProducerIDAllocated).ID
			if seen[id] || id < 1 {
				t.Fatalf("round %d: id %d again", round, id)
			}
			seen[id] = true
		}
		next, err := s.Activate(KindName, "cluster", round+2)
		if err != nil {
			t.Fatal(err)
		}
		ref = next
	}
	if len(seen) < 4*meta.ProducerBlock {
		t.Errorf("only %d ids", len(seen))
	}
}

// Goal: one block serves many, and who has gone does not take an id. Method: hold the log, let one asker's
// deadline pass, count blocks and look at the ids of the others.
func TestProducersWaitForOneBlock(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	l.set(true, nil)
	gone := make(chan error, 1)
	ref.Ask(time.Now().Add(10*time.Millisecond), AllocateProducerID{}, func(_ any, err error) { gone <- err })
	if err := <-gone; fault.CodeOf(err) != fault.RequestTimedOut {
		t.Fatal(err)
	}
	first, second := ask(ref, AllocateProducerID{}), ask(ref, AllocateProducerID{})
	l.await(t, 1)
	l.release()
	a, b := (<-first).m.(ProducerIDAllocated).ID, (<-second).m.(ProducerIDAllocated).ID
	if a != 1 || b != 2 {
		t.Errorf("ids %d and %d", a, b)
	}
	if next := l.table.Load().NextProducer; next != 1+meta.ProducerBlock {
		t.Errorf("next block begins at %d", next)
	}
}

// Goal: a block whose proposal failed, yet was applied later, is not handed out twice, and who waits when ids were
// taken meanwhile gets later ones. Method: answer the proposal with a timeout, apply it between the next decision
// and its proposal, ask again.
func TestLateBlockIsNotReused(t *testing.T) {
	l := newLog()
	_, ref := start(t, l)
	l.set(true, nil)
	failed := ask(ref, AllocateProducerID{})
	l.await(t, 1)
	l.mu.Lock()
	late := l.queue[0]
	l.queue = nil
	l.mu.Unlock()
	late.done(fault.New(fault.RequestTimedOut, "no answer"))
	if a := <-failed; fault.CodeOf(a.err) != fault.RequestTimedOut {
		t.Fatal(a.err)
	}
	next := ask(ref, AllocateProducerID{})
	l.await(t, 1)
	l.mu.Lock()
	l.queue = append([]proposal{{late.frame, func(error) {}}}, l.queue...)
	l.mu.Unlock()
	l.release()
	if a := <-next; a.err != nil || a.m.(ProducerIDAllocated).ID != 1+meta.ProducerBlock {
		t.Errorf("%+v", a)
	}
	if id := get[ProducerIDAllocated](t, ref, AllocateProducerID{}).ID; id != 2+meta.ProducerBlock {
		t.Errorf("then id %d", id)
	}
}

var _ actors.Actor = (*shell)(nil)
