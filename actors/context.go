package actors

import (
	"runtime/debug"
	"time"

	"github.com/millstream-io/millstream/actors/pool"
	"github.com/millstream-io/millstream/proto/fault"
)

var _ Context = (*life)(nil)

// Self implements Context.
func (l *life) Self() Ref { return Ref{l.act} }

// Identity implements Context.
func (l *life) Identity() Identity { return l.id }

// Now implements Context.
func (l *life) Now() time.Time { return l.act.sys.o.Now() }

// Asker implements Context.
func (l *life) Asker() Asker { return Asker{l.asker} }

// Reply implements Context.
func (l *life) Reply(m any) { l.ReplyTo(Asker{l.asker}, m) }

// ReplyTo implements Context.
func (l *life) ReplyTo(a Asker, m any) {
	s := l.act.sys
	switch {
	case a.w == nil: // told, nobody waits
	case !a.w.life.shard.take(a.w):
		s.o.Observer.Dropped(l.id.Kind, DropLate, 1)
	default:
		err, refused := m.(error)
		if refused {
			m = nil
		}
		reply := a.w.reply
		a.w.reply = nil // a kept Asker must not keep the caller's memory
		s.answer(reply, m, err)
	}
}

// After implements Context.
func (l *life) After(d time.Duration, m any) (cancel func()) {
	w := &wait{life: l, at: l.act.sys.elapsed() + max(d, 0), msg: m}
	if !l.shard.add(w) {
		return func() {}
	}
	return func() { l.shard.take(w) }
}

// Go implements Context.
func (l *life) Go(work func() any) {
	err := l.act.sys.pool.Submit(func() {
		m := l.attempt(work)
		if m != nil && !l.post(m) {
			l.act.sys.o.Observer.Dropped(l.id.Kind, DropStale, 1)
		}
	})
	switch err {
	case nil:
	case pool.ErrFull:
		l.Fail(fault.New(fault.ThrottlingQuotaExceeded, "start work of %s: %w", l.act.pidName, err))
	default: // the system is closing; this life hears of it soon
		l.act.sys.o.Observer.Dropped(l.id.Kind, DropStale, 1)
	}
}

// attempt runs work; a panic becomes a message that ends the life.
func (l *life) attempt(work func() any) (m any) {
	defer func() {
		if r := recover(); r != nil {
			l.act.sys.o.Logger.Error("actor work panicked", "kind", l.id.Kind, "identity", l.id.Name,
				"epoch", l.id.Epoch, "incarnation", l.id.Incarnation, "err", reasonOf(r), "stack", string(debug.Stack()))
			m = failure{reasonOf(r)}
		}
	}()
	return work()
}

// Post implements Context.
func (l *life) Post() func(m any) {
	return func(m any) {
		if !l.post(m) {
			l.act.sys.o.Observer.Dropped(l.id.Kind, DropStale, 1)
		}
	}
}

// Fail implements Context.
func (l *life) Fail(err error) {
	must(err != nil, "fail %s: no error", l.act.pidName)
	if l.failure == nil {
		l.failure = err
	}
}

// Stop implements Context.
func (l *life) Stop(err error) {
	if !l.stops {
		l.stops, l.stopErr = true, err
	}
}

// Unknown implements Context.
func (l *life) Unknown(m any) {
	l.act.sys.o.OnUnknown(l.id, m)
	if l.asker != nil {
		l.Reply(fault.New(fault.InvalidRequest, "ask %s: it does not know messages of type %T", l.act.pidName, m))
	}
}
