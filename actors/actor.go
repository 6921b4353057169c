package actors

import (
	"time"

	"github.com/millstream-io/millstream/actors/identity"
	"github.com/millstream-io/millstream/actors/supervise"
)

// Identity names one life of one activation.
type Identity = identity.Identity

// Kind says how actors of one kind are made and how often they may crash.
type Kind struct {
	// Name is the kind's name: "replica". Not empty, without "/" and "@".
	Name string
	// New makes the actor of one life, on the actor's own goroutine; a panic in it counts as a crash. It must
	// not block: what has to be read first is read by Context.Go on Started.
	New func(Identity) Actor
	// Restart says what follows a crash. The zero value stops the activation at its first crash.
	Restart supervise.Policy
}

// Actor owns changing state and a life. Receive handles one message at a time and never blocks: no lock,
// channel, sleep, disk or network. A panic ends the life.
//
// The first message of a life is Started, the last is Stopping, except that a life which crashed gets no
// Stopping: its state can't be trusted.
type Actor interface {
	Receive(c Context, m any)
}

// Started is the first message of a life.
type Started struct{}

// Stopping is the last message of a life that did not crash. Requests that are still open may be answered;
// those that are not are refused afterwards.
type Stopping struct{}

// Context is what an actor sees of the runtime. It stays the same during a life and may be kept, but only the
// actor's own goroutine may call it: inside Receive. The exception is the function that Post returns.
type Context interface {
	// Self points to this activation.
	Self() Ref
	// Identity names this life, with its incarnation.
	Identity() Identity
	// Now reads the system's clock.
	Now() time.Time

	// Asker is where the reply to the message being received goes; its zero value for a Tell. It may be kept
	// and answered by ReplyTo long after Receive returned: when a write is durable, for example.
	Asker() Asker
	// Reply answers the message being received: ReplyTo(Asker(), m).
	Reply(m any)
	// ReplyTo answers a. The first reply counts, later ones are dropped and counted, as is one after the
	// deadline. A reply that is an error reaches the asker as its error. The asker's function runs on this
	// goroutine.
	ReplyTo(a Asker, m any)

	// After sends m to this life in d. cancel takes it back unless it has been sent; it may be called at any
	// time in Receive. Nothing is sent after the life ended.
	After(d time.Duration, m any) (cancel func())
	// Go runs work on the pool, where it may block. What it returns is sent to this life, unless it is nil or
	// the life has ended. A panic in work arrives as Fail. work must not touch the actor's state.
	Go(work func() any)
	// Post returns a function that tells this life. Any goroutine may call it, at any time, a callback of the
	// storage for example: it does not block, and does nothing but count after the life ended.
	Post() func(m any)

	// Fail ends this life as a crash when Receive returns; Kind.Restart says what follows.
	Fail(err error)
	// Stop ends this activation when Receive returns, without another life. err goes to Options.OnStopped;
	// nil is a normal end. A broken disk is Stop, not Fail: another life would meet the same disk.
	Stop(err error)
	// Unknown reports a message that the actor has no case for, to Options.OnUnknown, and refuses it with
	// fault.InvalidRequest if somebody asked.
	Unknown(m any)
}
