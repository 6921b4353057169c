package client

import (
	"log/slog"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// The defaults of the options.
const (
	DefaultMaxBatchBytes    = 1 << 20
	DefaultMaxBufferedBytes = 64 << 20
	DefaultDeliveryTimeout  = 2 * time.Minute
	DefaultRequestTimeout   = 30 * time.Second
	DefaultCloseTimeout     = 10 * time.Second
)

// Limits that are not worth an option.
const (
	largeBatch     = 192 << 10 // bytes of an open batch that no longer waits for those under way
	maxInFlight    = 5         // batches of one partition; what a leader remembers for an idempotent producer
	leastBackoff   = 20 * time.Millisecond
	mostBackoff    = time.Second
	metadataMaxAge = 5 * time.Minute
)

type options struct {
	acks            Acks
	idempotent      bool
	codec           record.Codec
	partitioner     Partitioner
	linger          time.Duration
	maxBatch        int
	maxBuffered     int
	deliveryTimeout time.Duration
	requestTimeout  time.Duration
	closeTimeout    time.Duration
	leastBackoff    time.Duration // tests shorten it
	clientID        string
	logger          *slog.Logger
	observer        Observer
}

func defaults() options {
	return options{
		acks: AcksAll, idempotent: true, partitioner: ByKey,
		maxBatch: DefaultMaxBatchBytes, maxBuffered: DefaultMaxBufferedBytes,
		deliveryTimeout: DefaultDeliveryTimeout, requestTimeout: DefaultRequestTimeout,
		closeTimeout: DefaultCloseTimeout, leastBackoff: leastBackoff,
		clientID: "millstream-go", logger: slog.New(slog.DiscardHandler),
	}
}

// longer is the wait after one of the length last. Short delivery timeouts must leave time for several
// attempts.
func (o *options) longer(last time.Duration) time.Duration {
	return min(max(2*last, o.leastBackoff), mostBackoff, max(o.deliveryTimeout/8, o.leastBackoff))
}

// inFlight is how many batches of a partition may be under way. Without idempotence a second one could
// overtake the first when that has to be sent again.
func (o *options) inFlight() int {
	if o.idempotent {
		return maxInFlight
	}
	return 1
}

// Option changes how a Client works.
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithAcks says when a record counts as written; AcksAll is the default. Idempotence needs AcksAll and is off
// with others: a record that is sent again may then be there twice.
func WithAcks(a Acks) Option {
	return optionFunc(func(o *options) { o.acks, o.idempotent = a, o.idempotent && a == AcksAll })
}

// WithoutIdempotence sends batches without producer id and sequence: a record that is sent again may be there
// twice.
func WithoutIdempotence() Option {
	return optionFunc(func(o *options) { o.idempotent = false })
}

// WithCompression compresses batches; none is the default. A batch that would not get smaller goes out as it
// is.
func WithCompression(c record.Codec) Option {
	return optionFunc(func(o *options) { o.codec = c })
}

// WithPartitioner replaces ByKey.
func WithPartitioner(p Partitioner) Option {
	return optionFunc(func(o *options) { o.partitioner = p })
}

// WithLinger waits that long for more records before a batch is sent that is not full. The default 0 sends at
// once when no batch of the partition is under way, and gathers up to 192 KiB of records while one is.
func WithLinger(d time.Duration) Option {
	return optionFunc(func(o *options) { o.linger = max(d, 0) })
}

// WithMaxBatchBytes bounds a batch before compression. A single record that does not fit is refused with
// fault.RecordTooLarge.
func WithMaxBatchBytes(n int) Option {
	return optionFunc(func(o *options) { o.maxBatch = max(n, 1<<10) })
}

// WithMaxBufferedBytes bounds the records that are not answered yet. Beyond it producing waits, as long as
// its ctx allows; Stats counts the waits.
func WithMaxBufferedBytes(n int) Option {
	return optionFunc(func(o *options) { o.maxBuffered = max(n, 1<<10) })
}

// WithDeliveryTimeout bounds the time from producing a record to its answer, retries included. What is not
// written by then gets fault.RequestTimedOut.
func WithDeliveryTimeout(d time.Duration) Option {
	return optionFunc(func(o *options) { o.deliveryTimeout = max(d, time.Millisecond) })
}

// WithRequestTimeout bounds one attempt to send a batch.
func WithRequestTimeout(d time.Duration) Option {
	return optionFunc(func(o *options) { o.requestTimeout = max(d, time.Millisecond) })
}

// WithCloseTimeout bounds how long Close waits for records under way.
func WithCloseTimeout(d time.Duration) Option {
	return optionFunc(func(o *options) { o.closeTimeout = max(d, 0) })
}

// WithClientID names the client where groups describe their members; "millstream-go" is the default.
func WithClientID(id string) Option {
	return optionFunc(func(o *options) { o.clientID = id })
}

// WithLogger has the client tell what changed (Info) and what is degraded and heals by itself (Warn); batches are at
// Debug. Keys and values of records are never logged. Nothing is logged by default.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(o *options) { o.logger = l })
}

// WithObserver has the client tell o what it does, for metrics.
func WithObserver(obs Observer) Option {
	return optionFunc(func(o *options) { o.observer = obs })
}
