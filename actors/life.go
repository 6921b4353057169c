package actors

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// life is one actor value of an activation: the library's actor, and the Context that ours sees.
type life struct {
	act   *activation
	id    Identity
	shard *shard

	// Set by begin, before anybody sees the life.
	pid     *actor.PID
	mailbox actor.Process

	// posted counts the parcels sent to this life; it is far below zero once the life takes no more.
	posted atomic.Int64

	// Under shard.mu.
	waits *wait // list of the asks and timers of this life
	shut  bool

	// Of the actor's goroutine only.
	actor    Actor
	asker    *wait
	received int64
	failure  error // a crash to come when Receive returns, or the one that was
	stops    bool  // Context.Stop was called
	stopErr  error
	crashed  bool
}

// closedPosts is far enough from zero that no number of late senders brings posted back.
const closedPosts = math.MinInt64 / 2

// failure is told to a life whose work panicked.
type failure struct{ err error }

// post sends m to this life and never blocks; false means that the life takes no more.
func (l *life) post(m any) bool {
	if l.posted.Add(1) < 0 {
		return false
	}
	p := parcels.Get().(*parcel)
	p.msg = m
	l.mailbox.SendUserMessage(l.pid, p)
	return true
}

// receiveFrom takes one message of the library.
func (l *life) receiveFrom(pc actor.Context) {
	switch m := pc.Message().(type) {
	case *parcel:
		if l.reads() {
			msg := m.msg
			m.msg = nil
			parcels.Put(m)
			l.received++
			l.read(pc, msg)
		}
	case *wait:
		if l.reads() && !m.done.Load() {
			msg := m.msg
			m.msg = nil
			l.asker = m
			l.read(pc, msg)
		}
	case *actor.Started:
		l.start(pc)
	case *actor.Stopping:
		l.end()
	case *actor.Stopped:
		l.act.lifeEnded(l)
	}
}

// reads reports whether messages are still handed to the actor: a stop that was asked for may arrive a little
// later. What is not read is accounted for by close.
func (l *life) reads() bool { return l.actor != nil && !l.stops }

// start makes the actor, unless the activation was told to stop before its first life began.
func (l *life) start(pc actor.Context) {
	if l.act.leaving() {
		return
	}
	l.actor = l.act.kind.New(l.id)
	must(l.actor != nil, "kind %s: New returned nil", l.id.Kind)
	l.read(pc, Started{})
}

// read hands one message to the actor and carries out what it asked for meanwhile. A panic goes on to the
// library.
func (l *life) read(pc actor.Context, m any) {
	if f, ok := m.(failure); ok {
		fall(f.err)
	}
	l.act.sys.o.Observer.Received(l.id.Kind)
	l.actor.Receive(l, m)
	l.asker = nil
	if l.stops {
		if l.act.leave() {
			pc.Stop(l.pid)
		}
		return
	}
	if l.failure != nil {
		fall(l.failure)
	}
}

// end is called when the library stops this life, by request or after a crash.
func (l *life) end() {
	if !l.crashed && l.actor != nil {
		l.sayGoodbye()
	}
	l.close()
}

// sayGoodbye hands Stopping to the actor. A panic must not reach the library here: it would leave the life
// half stopped for ever.
func (l *life) sayGoodbye() {
	defer func() {
		if r := recover(); r != nil {
			l.failure = reasonOf(r)
			l.act.logCrash(l, debug.Stack())
		}
	}()
	l.act.sys.o.Observer.Received(l.id.Kind)
	l.actor.Receive(l, Stopping{})
}

// close takes no more messages, counts those that nobody will read and refuses the open asks.
func (l *life) close() {
	if lost := l.posted.Swap(closedPosts) - l.received; lost > 0 {
		l.act.sys.o.Observer.Dropped(l.id.Kind, DropQueued, int(lost))
	}
	asks := l.shard.shut(l)
	if asks == nil {
		return
	}
	refusal := l.act.refusal()
	for w := asks; w != nil; {
		next := w.next
		w.next = nil
		l.act.sys.answer(w.reply, nil, refusal)
		w = next
	}
}

// fell records a panic that the library caught. It runs on the actor's goroutine; the library calls end next.
func (l *life) fell(reason any, stack []byte) {
	l.crashed = true
	l.failure = reasonOf(reason)
	l.asker = nil
	l.act.crashes(l)
	l.act.logCrash(l, stack)
}

func reasonOf(r any) error {
	switch r := r.(type) {
	case crash:
		return r.err
	case error:
		return fmt.Errorf("panic: %w", r)
	}
	return errors.New("panic: " + fmt.Sprint(r))
}

// shell is what the library calls; it keeps the library's Receive out of the Context that actors see.
type shell struct{ l *life }

// Receive hands over one message of the library.
func (s shell) Receive(pc actor.Context) { s.l.receiveFrom(pc) }
