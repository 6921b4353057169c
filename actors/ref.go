package actors

import (
	"sync"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// Ref points to an activation, through all its lives. Comparable; the zero value points to nothing, drops
// what it is told and refuses what it is asked. Safe for concurrent use.
type Ref struct {
	act *activation
}

// Asker is where one reply goes. It may be kept and used once; the zero value is that of a Tell.
type Asker struct {
	w *wait
}

// IsZero reports whether nobody waits for a reply because the message was told.
func (a Asker) IsZero() bool { return a.w == nil }

// Open reports whether a reply would still reach the asker: none was given, and the deadline has not passed.
func (a Asker) Open() bool { return a.w != nil && !a.w.done.Load() }

// IsZero reports whether r points to nothing.
func (r Ref) IsZero() bool { return r.act == nil }

// Identity names the activation; its incarnation is 0.
func (r Ref) Identity() Identity {
	if r.act == nil {
		return Identity{}
	}
	return r.act.id
}

// String returns "kind/name@epoch".
func (r Ref) String() string {
	if r.act == nil {
		return "nobody"
	}
	return r.act.pidName
}

// Tell sends m and never blocks. After the activation ended, or between two of its lives, m is dropped and
// counted. The caller gives m up: nobody changes it afterwards.
func (r Ref) Tell(m any) {
	if r.act == nil {
		return
	}
	if l := r.act.life.Load(); l == nil || !l.post(m) {
		r.act.sys.o.Observer.Dropped(r.act.id.Kind, DropAbsent, 1)
	}
}

// Ask sends m and never blocks. reply runs exactly once, on any goroutine, possibly before Ask returns, and
// must not block; an actor hands the answer to itself with the function of its own Context.Post.
//
// It gets the reply, or one of these errors, all worth a retry: fault.RequestTimedOut at the deadline (at
// once when that is past), fault.LeaderNotAvailable when the life crashed, fault.NotLeader when the
// activation ended or there is none, fault.Closing when the system is. Whether the request had an effect is
// then unknown, so callers repeat it idempotently.
func (r Ref) Ask(deadline time.Time, m any, reply func(any, error)) {
	if r.act == nil {
		reply(nil, errNowhere)
		return
	}
	s := r.act.sys
	l := r.act.life.Load()
	if l == nil {
		s.answer(reply, nil, r.act.refusal())
		return
	}
	at := deadline.Sub(s.base)
	if at <= s.elapsed() {
		s.o.Observer.TimedOut(r.act.id.Kind)
		s.answer(reply, nil, timedOut(r.act))
		return
	}
	w := &wait{life: l, at: at, msg: m, reply: reply}
	if !l.shard.add(w) {
		s.answer(reply, nil, r.act.refusal())
		return
	}
	// An answer may come from here on. If the life ends before the message is read, the answer was its
	// refusal.
	l.mailbox.SendUserMessage(l.pid, w)
}

var errNowhere = fault.New(fault.NotLeader, "ask: no such activation here").
	WithHint("refresh the routing and retry")

func timedOut(a *activation) error {
	return fault.New(fault.RequestTimedOut, "ask %s: no reply before the deadline", a.pidName).
		WithHint("retry with the same id; the first try may have taken effect")
}

// parcel carries one told message, so that the library does not look into it. It goes back to parcels when it
// was read.
type parcel struct{ msg any }

var parcels = sync.Pool{New: func() any { return new(parcel) }}

// IgnoreDeadLetterLogging keeps the library from printing what is inside.
func (*parcel) IgnoreDeadLetterLogging() {}

// expire acts on a wait whose time has come.
func (w *wait) expire() {
	l := w.life
	s := l.act.sys
	if w.reply == nil {
		if !l.post(w.msg) {
			s.o.Observer.Dropped(l.id.Kind, DropStale, 1)
		}
		return
	}
	s.o.Observer.TimedOut(l.id.Kind)
	s.answer(w.reply, nil, timedOut(l.act))
}
