package actors

import (
	"log/slog"
	"time"
)

// Options configure a System. The zero value is useful.
type Options struct {
	// Logger takes crashes and stops. nil discards them.
	Logger *slog.Logger
	// Now is the clock, also of deadlines. nil means time.Now. It must be safe for concurrent use.
	Now func() time.Time
	// OnUnknown hears of messages that an actor gave to Context.Unknown, on the actor's goroutine. It must
	// not block. May be nil.
	OnUnknown func(Identity, any)
	// OnStopped hears once of each activation that ended, after its last life: nil when it was stopped or
	// replaced, else what it gave to Context.Stop, the crash that spent its budget, or the crash that its end
	// met. It runs on any goroutine and must not block nor call Close. May be nil.
	OnStopped func(Identity, error)
	// PoolSize is the number of jobs of Context.Go that run at the same time. 0 means four a CPU, at least
	// eight.
	PoolSize int
	// PoolLimit is the number of jobs of Context.Go that may wait. 0 means 65536. A life that asks for one
	// more fails: that many waiting jobs mean a bug or a dead disk.
	PoolLimit int
	// Seed makes the jitter of restart pauses repeatable. 0 takes a random one.
	Seed uint64
	// Observer counts. May be nil.
	Observer Observer
}

// Drop says why a message reached nobody.
type Drop uint8

// The reasons of drops.
const (
	// DropAbsent is a Tell to an activation that had ended or was between two lives.
	DropAbsent Drop = iota
	// DropQueued is a message that was in the mailbox when its life ended.
	DropQueued
	// DropStale is a timer, a result of Go or a call of Post for a life that had ended.
	DropStale
	// DropLate is a second reply, or a reply after the deadline.
	DropLate
)

// String returns the reason in one word.
func (d Drop) String() string {
	return [...]string{"absent", "queued", "stale", "late"}[d]
}

// Observer counts what the runtime does. Its methods are called from many goroutines, often, and must not
// block.
type Observer interface {
	// Received counts a message that is handed to an actor of the kind.
	Received(kind string)
	// Dropped counts n messages for actors of the kind that reached nobody.
	Dropped(kind string, why Drop, n int)
	// Restarted counts a crash that is followed by another life.
	Restarted(kind string)
	// TimedOut counts an Ask that reached its deadline.
	TimedOut(kind string)
	// PoolWaiting tells the number of jobs that wait for a worker.
	PoolWaiting(jobs int)
}

// nobody is the Observer of a system that has none.
type nobody struct{}

func (nobody) Received(string)           {}
func (nobody) Dropped(string, Drop, int) {}
func (nobody) Restarted(string)          {}
func (nobody) TimedOut(string)           {}
func (nobody) PoolWaiting(int)           {}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnUnknown == nil {
		o.OnUnknown = func(Identity, any) {}
	}
	if o.OnStopped == nil {
		o.OnStopped = func(Identity, error) {}
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	return o
}
