package http

import (
	"context"
	"log/slog"
	nethttp "net/http"
	"time"
)

// The defaults of Options.
const (
	DefaultMaxConnections = 256
	DefaultMaxHeaderBytes = 16 << 10
	DefaultHeaderTimeout  = 5 * time.Second
	DefaultReadTimeout    = 10 * time.Second
	DefaultWriteTimeout   = 15 * time.Second
	DefaultIdleTimeout    = time.Minute
	DefaultDrainTimeout   = 10 * time.Second
	DefaultCheckTimeout   = 2 * time.Second
)

// Options says what a door serves and how it behaves. Zero limits and durations mean their defaults.
type Options struct {
	// Logger takes the door's log lines; nil drops them.
	Logger *slog.Logger
	// Metrics answers /metrics; nil leaves the path out.
	Metrics nethttp.Handler
	// Health says why the member can do nothing more; none means that it can. It must not block. Nil is
	// always fine.
	Health func() []string
	// Ready says why the member should get no traffic now; none means that it should. It may block until ctx
	// ends, which is CheckTimeout from the request on. Nil is always ready.
	Ready func(ctx context.Context) []string
	// Notes says what an operator should know of a member that can do its work; it is told with both checks
	// and changes neither. It must not block. Nil says nothing.
	Notes func() []string
	// Damage answers /damage, as JSON; nil leaves the path out. It must not block.
	Damage func() any
	// Group answers /groups/NAME, as JSON, where NAME is a consumer group's; a refusal is answered with the HTTP
	// status of its code. Nil leaves the path out. It may block until ctx ends, which is CheckTimeout from the
	// request on.
	Group func(ctx context.Context, name string) (any, error)
	// Apps answers /apps, and App /apps/NAME, as JSON, where NAME is an application's; a refusal is answered with
	// the HTTP status of its code. Nil leaves the path out. They must not block.
	Apps func() any
	App  func(name string) (any, error)
	// Observer is told what happens; nil means nobody.
	Observer Observer

	// MaxConnections is the number of connections at one time; further ones are closed at once.
	MaxConnections int
	// MaxHeaderBytes bounds the head of a request, in bytes.
	MaxHeaderBytes int
	// HeaderTimeout is how long the head of a request may take to arrive, ReadTimeout the whole of it.
	HeaderTimeout time.Duration
	ReadTimeout   time.Duration
	// WriteTimeout is how long an answer may take from the head of its request on. A profile gets its own
	// duration on top.
	WriteTimeout time.Duration
	// IdleTimeout closes a connection that asks for nothing.
	IdleTimeout time.Duration
	// DrainTimeout is how long Serve waits for answers in flight once it has been told to end.
	DrainTimeout time.Duration
	// CheckTimeout bounds one question of Ready, and of Group.
	CheckTimeout time.Duration
}

// Observer is told what a door does. Its calls come from many goroutines and must not block.
type Observer interface {
	// Answered is called after each answer. route is the pattern that the request met, one of a fixed set,
	// and "other" for what met none; status is the HTTP status; took is the time from the request's head on.
	Answered(route string, status int, took time.Duration)
	// Refused is called for a connection that was one too many.
	Refused()
}

type nobody struct{}

func (nobody) Answered(string, int, time.Duration) {}
func (nobody) Refused()                            {}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Health == nil {
		o.Health = func() []string { return nil }
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) []string { return nil }
	}
	if o.Notes == nil {
		o.Notes = func() []string { return nil }
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	o.MaxConnections = orDefault(o.MaxConnections, DefaultMaxConnections)
	o.MaxHeaderBytes = orDefault(o.MaxHeaderBytes, DefaultMaxHeaderBytes)
	o.HeaderTimeout = orDefault(o.HeaderTimeout, DefaultHeaderTimeout)
	o.ReadTimeout = orDefault(o.ReadTimeout, DefaultReadTimeout)
	o.WriteTimeout = orDefault(o.WriteTimeout, DefaultWriteTimeout)
	o.IdleTimeout = orDefault(o.IdleTimeout, DefaultIdleTimeout)
	o.DrainTimeout = orDefault(o.DrainTimeout, DefaultDrainTimeout)
	o.CheckTimeout = orDefault(o.CheckTimeout, DefaultCheckTimeout)
	return o
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
