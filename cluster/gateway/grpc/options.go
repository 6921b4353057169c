package grpc

import (
	"log/slog"
	"time"

	"github.com/millstream-io/millstream/partition/config"
)

// The defaults of Options.
const (
	DefaultMaxConnections   = 1000
	DefaultMaxStreams       = 4096
	DefaultConnStreams      = 256
	DefaultStreamBytes      = 16 << 20
	DefaultStreamRequests   = 1024
	DefaultReadBytes        = 64 << 20
	DefaultSendTimeout      = time.Minute
	DefaultMaxPartitions    = 10_000
	DefaultIdleTimeout      = 10 * time.Minute
	DefaultKeepaliveTime    = time.Minute
	DefaultKeepaliveTimeout = 20 * time.Second
	DefaultMinPing          = 10 * time.Second
	DefaultDrainTimeout     = 10 * time.Second
)

// MaxMessageBytes is the largest message that a door takes: the largest batches that the broker takes for one
// partition, and a request around them.
const MaxMessageBytes = config.MaxMaxMessageBytes + 1<<20

// Options says how a door behaves. The zero value is useful: every zero field means its default.
type Options struct {
	// Logger takes the door's log lines; nil drops them.
	Logger *slog.Logger
	// Apps stands behind the service of that name; nil: the service is not offered.
	Apps Apps
	// MemberBytes is what may be in flight over all doors of the member; nil means no limit but the streams' own.
	MemberBytes Budget
	// ReadBytes is what all readers together may have read ahead of what their clients take. Beyond it each reads a
	// little at a time.
	ReadBytes int64
	// SendTimeout is how long one message of a stream may wait for its client to take it; then the stream is ended, and
	// what it held is free.
	SendTimeout time.Duration
	// MaxConnections is the number of connections at one time; further ones are closed at once.
	MaxConnections int
	// MaxStreams is the number of calls and streams at one time over all connections, ConnStreams of one connection.
	// Beyond the first a call is refused, beyond the second it waits in its client.
	MaxStreams  int
	ConnStreams int
	// StreamBytes and StreamRequests are what one Produce stream may have in flight.
	StreamBytes    int64
	StreamRequests int
	// MaxPartitions is how many partitions one Fetch stream, Read or offset query may name.
	MaxPartitions int
	// IdleTimeout closes a connection without calls.
	IdleTimeout time.Duration
	// KeepaliveTime is the silence after which a connection is asked whether it is there, KeepaliveTimeout how long it
	// may take to say so. A client that asks more often than every MinPing is cut off.
	KeepaliveTime    time.Duration
	KeepaliveTimeout time.Duration
	MinPing          time.Duration
	// DrainTimeout is how long Serve waits for calls in flight once it has been told to end.
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
	if o.MemberBytes == nil {
		o.MemberBytes = unlimited{}
	}
	o.MaxConnections = orDefault(o.MaxConnections, DefaultMaxConnections)
	o.MaxStreams = orDefault(o.MaxStreams, DefaultMaxStreams)
	o.ConnStreams = orDefault(o.ConnStreams, DefaultConnStreams)
	o.StreamBytes = orDefault(o.StreamBytes, int64(DefaultStreamBytes))
	o.StreamRequests = orDefault(o.StreamRequests, DefaultStreamRequests)
	o.ReadBytes = orDefault(o.ReadBytes, int64(DefaultReadBytes))
	o.SendTimeout = orDefault(o.SendTimeout, DefaultSendTimeout)
	o.MaxPartitions = orDefault(o.MaxPartitions, DefaultMaxPartitions)
	o.IdleTimeout = orDefault(o.IdleTimeout, DefaultIdleTimeout)
	o.KeepaliveTime = orDefault(o.KeepaliveTime, DefaultKeepaliveTime)
	o.KeepaliveTimeout = orDefault(o.KeepaliveTimeout, DefaultKeepaliveTimeout)
	o.MinPing = orDefault(o.MinPing, DefaultMinPing)
	o.DrainTimeout = orDefault(o.DrainTimeout, DefaultDrainTimeout)
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
