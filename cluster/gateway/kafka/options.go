package kafka

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"
)

// The defaults of Options.
const (
	DefaultMaxFrameBytes   = 100 << 20 // Kafka's socket.request.max.bytes
	DefaultConnectionBytes = 64 << 20
	DefaultMaxConnections  = 10_000
	DefaultIdleTimeout     = 10 * time.Minute // Kafka's connections.max.idle.ms
	DefaultFrameTimeout    = 30 * time.Second
	DefaultDrainTimeout    = 10 * time.Second
	DefaultMinRate         = 64 << 10
)

// Options says how a door behaves. The zero value is useful: every zero field means its default.
type Options struct {
	// Logger takes the door's log lines; nil drops them.
	Logger *slog.Logger
	// Advertised is the "host:port" that clients are told to dial. Empty means the listener's own
	// address, which must then be one that can be dialled.
	Advertised string
	// MaxFrameBytes is the largest request; a larger one costs its connection.
	MaxFrameBytes int
	// ConnectionBytes is what one connection may hold in flight, requests and answers together.
	ConnectionBytes int64
	// MemberBytes is the same for the whole member, shared by its doors; nil means no limit but the
	// connections' own.
	MemberBytes *Credit
	// MaxConnections is the number of connections at one time; further ones are closed at once.
	MaxConnections int
	// IdleTimeout closes a connection that asks for nothing and waits for nothing.
	IdleTimeout time.Duration
	// FrameTimeout is how long a frame that has begun may take to arrive, or an answer to be taken. A big
	// one gets a second more for every MinRate bytes.
	FrameTimeout time.Duration
	// MinRate is the slowest transfer that is put up with, in bytes per second.
	MinRate int
	// DrainTimeout is how long Serve waits for requests in flight once it has been told to end.
	DrainTimeout time.Duration
	// Now is the clock of deadlines that go to the port; nil means time.Now.
	Now func() time.Time
	// Observer is told what happens; nil means nobody.
	Observer Observer
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.MaxFrameBytes = orDefault(o.MaxFrameBytes, DefaultMaxFrameBytes)
	o.ConnectionBytes = orDefault(o.ConnectionBytes, int64(DefaultConnectionBytes))
	o.MaxConnections = orDefault(o.MaxConnections, DefaultMaxConnections)
	o.IdleTimeout = orDefault(o.IdleTimeout, DefaultIdleTimeout)
	o.FrameTimeout = orDefault(o.FrameTimeout, DefaultFrameTimeout)
	o.DrainTimeout = orDefault(o.DrainTimeout, DefaultDrainTimeout)
	o.MinRate = orDefault(o.MinRate, DefaultMinRate)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	return o
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// transferTimeout is how long n bytes of one frame may take on the wire.
func (o Options) transferTimeout(n int) time.Duration {
	return o.FrameTimeout + time.Duration(n/o.MinRate)*time.Second
}

// endpoint is an address as Metadata tells it.
type endpoint struct {
	host string
	port int32
}

// parseEndpoint reads "host:port".
func parseEndpoint(addr string) (endpoint, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return endpoint{}, fmt.Errorf("parse address %q: %w", addr, err)
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return endpoint{}, fmt.Errorf("parse port of address %q: %w", addr, err)
	}
	return endpoint{host: host, port: int32(port)}, nil
}

// advertised is the endpoint that clients are told: the option's, or the listener's where that can be
// dialled.
func (o Options) advertised(l net.Listener) (endpoint, error) {
	if o.Advertised != "" {
		return parseEndpoint(o.Advertised)
	}
	e, err := parseEndpoint(l.Addr().String())
	if err != nil {
		return endpoint{}, fmt.Errorf("advertise listener: %w", err)
	}
	if ip := net.ParseIP(e.host); e.host == "" || (ip != nil && ip.IsUnspecified()) {
		return endpoint{}, fmt.Errorf("advertise %s: no client can dial that; set Options.Advertised", l.Addr())
	}
	return e, nil
}
