package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/millstream-io/millstream/cluster/gateway/kafka"
	"github.com/millstream-io/millstream/partition"
)

// Config is everything that a member can be told. The zero value is useful: one member in a temporary
// directory that is removed at Close, with no door open. Zero fields take the value of Defaults.
type Config struct {
	// DataDir is where the member keeps its log and its identity. One process at a time may use it. Empty
	// means a temporary directory that is removed at Close.
	DataDir string

	// Logger takes what the member has to say. Nil is silent.
	Logger *slog.Logger

	// Kafka is the address on which the Kafka protocol is served, "host:port". Empty keeps the door closed;
	// an address without a host means loopback; port 0 takes a free one (see Member.KafkaAddr).
	Kafka string

	// KafkaListener, when not nil, is served instead of listening on Kafka. The member closes it.
	KafkaListener net.Listener

	// AdvertisedKafka is the address that Kafka clients are told to use, "host:port". Empty means the one
	// listened on.
	AdvertisedKafka string

	// GRPC is the address on which the gRPC services of proto/api/v1 are served, "host:port", under the rules of
	// Kafka (see Member.GRPCAddr).
	GRPC string

	// GRPCListener, when not nil, is served instead of listening on GRPC. The member closes it.
	GRPCListener net.Listener

	// HTTP is the address on which metrics, health and profiles are served, "host:port", under the rules of
	// Kafka (see Member.HTTPAddr). It is open from the start on, before the member is ready.
	HTTP string

	// HTTPListener, when not nil, is served instead of listening on HTTP. The member closes it.
	HTTPListener net.Listener

	// Insecure allows doors on other addresses than loopback. This version has neither TLS nor
	// authentication, so whoever reaches such a door may read and write everything.
	Insecure bool

	// AutoCreateTopics lets a client's first use of a topic make it.
	AutoCreateTopics bool

	// DefaultPartitions is the partition count of a topic whose creator names none.
	DefaultPartitions int

	// TaskWorkers is how many steps of stream tasks, which is where user code runs, may run at the same time. Disk
	// reads and other blocking jobs have twice as many workers of their own.
	TaskWorkers int

	// StateBytes is the memory for the stores of all stream tasks together, in bytes: what was written last, and
	// caches of what is read. What tasks have changed and not committed yet comes on top of it.
	StateBytes int64

	// BucketBytes is the size at which a log bucket is closed and the next one begun, in bytes.
	BucketBytes int64

	// AcceptLoss makes the best of a log that has lost writes which had been durable: what is missing is
	// given up, the rest is served and written to. Without it the partitions concerned are served and take no
	// writes, and a member whose metadata is concerned does not start.
	AcceptLoss bool

	// CommitInterval is how often a stream task commits the offsets that it has finished.
	CommitInterval time.Duration

	// GroupRebalanceDelay is how long the first member of an empty consumer group waits for others before
	// partitions are shared out. Zero does not wait.
	GroupRebalanceDelay time.Duration

	// OffsetsRetention is how long the committed offsets of a group are kept that has no members, counted from
	// the commit, or from when the last member left where that is later.
	OffsetsRetention time.Duration

	// RequestBytes bounds what requests and answers in flight may hold in memory, over all connections, in
	// bytes. Further requests wait in their sockets. Zero means a quarter of the memory that the process may
	// use.
	RequestBytes int64

	// TailCacheBytes is the memory for recent batches that readers find without the disk, over all
	// partitions, in bytes. Each partition takes an equal share when it starts, at most 4 MiB.
	TailCacheBytes int64

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// What tests of this package look through.
	doorObserver    kafka.Observer
	replicaObserver partition.Observer
}

// Bounds of the options.
const (
	maxPartitions  = 10_000
	minBucketBytes = 1 << 20
	maxBucketBytes = 16 << 30

	minRequestBytes = 64 << 20
	leastTailShare  = 64 << 10
	leastStateBytes = 8 << 20
	mostTailShare   = 4 << 20
	unknownMemory   = 2 << 30 // assumed where the machine does not tell
)

// Defaults returns the configuration that zero fields are filled from.
func Defaults() Config {
	return Config{
		DefaultPartitions: 1,
		TaskWorkers:       runtime.GOMAXPROCS(0),
		BucketBytes:       1 << 30,
		CommitInterval:    100 * time.Millisecond,
		OffsetsRetention:  7 * 24 * time.Hour,
		RequestBytes:      requestBytes(),
		TailCacheBytes:    32 << 20,
		StateBytes:        128 << 20,
		Now:               time.Now,
		Logger:            slog.New(slog.DiscardHandler),
	}
}

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	d := Defaults()
	if c.Logger == nil {
		c.Logger = d.Logger
	}
	if c.DefaultPartitions == 0 {
		c.DefaultPartitions = d.DefaultPartitions
	}
	if c.TaskWorkers == 0 {
		c.TaskWorkers = d.TaskWorkers
	}
	if c.BucketBytes == 0 {
		c.BucketBytes = d.BucketBytes
	}
	if c.CommitInterval == 0 {
		c.CommitInterval = d.CommitInterval
	}
	if c.OffsetsRetention == 0 {
		c.OffsetsRetention = d.OffsetsRetention
	}
	if c.RequestBytes == 0 {
		c.RequestBytes = d.RequestBytes
	}
	if c.StateBytes == 0 {
		c.StateBytes = d.StateBytes
	}
	if c.TailCacheBytes == 0 {
		c.TailCacheBytes = d.TailCacheBytes
	}
	if c.Now == nil {
		c.Now = d.Now
	}
	return c
}

// Validate reports every fault of the configuration at once, each with the name of its field.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	bad := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("cluster.Config.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if c.Kafka != "" {
		if _, err := doorAddress(c.Kafka, c.Insecure); err != nil {
			bad("Kafka", "%v", err)
		}
	}
	if c.GRPC != "" {
		if _, err := doorAddress(c.GRPC, c.Insecure); err != nil {
			bad("GRPC", "%v", err)
		}
	}
	if c.HTTP != "" {
		if _, err := doorAddress(c.HTTP, c.Insecure); err != nil {
			bad("HTTP", "%v", err)
		}
	}
	if c.AdvertisedKafka != "" {
		if _, _, err := net.SplitHostPort(c.AdvertisedKafka); err != nil {
			bad("AdvertisedKafka", "%q is not host:port", c.AdvertisedKafka)
		}
		if c.Kafka == "" && c.KafkaListener == nil {
			bad("AdvertisedKafka", "an address is advertised, but Kafka is empty: the door is closed")
		}
	}
	if c.DefaultPartitions < 1 || c.DefaultPartitions > maxPartitions {
		bad("DefaultPartitions", "%d is not in 1..%d", c.DefaultPartitions, maxPartitions)
	}
	if c.TaskWorkers < 1 {
		bad("TaskWorkers", "%d is not positive", c.TaskWorkers)
	}
	if c.BucketBytes < minBucketBytes || c.BucketBytes > maxBucketBytes {
		bad("BucketBytes", "%d is not in %d..%d", c.BucketBytes, minBucketBytes, int64(maxBucketBytes))
	}
	if c.RequestBytes < minRequestBytes {
		bad("RequestBytes", "%d is below %d, less than one large request needs", c.RequestBytes, minRequestBytes)
	}
	if c.StateBytes < leastStateBytes {
		bad("StateBytes", "%d is below %d, what a few tasks need", c.StateBytes, leastStateBytes)
	}
	if c.TailCacheBytes < leastTailShare {
		bad("TailCacheBytes", "%d is below %d, the share of one partition", c.TailCacheBytes, leastTailShare)
	}
	if c.GroupRebalanceDelay < 0 || c.GroupRebalanceDelay > time.Minute {
		bad("GroupRebalanceDelay", "%s is not in 0..1m", c.GroupRebalanceDelay)
	}
	if c.OffsetsRetention < time.Minute {
		bad("OffsetsRetention", "%s is less than a minute", c.OffsetsRetention)
	}
	if c.CommitInterval < 0 {
		bad("CommitInterval", "%s is negative", c.CommitInterval)
	}
	return errors.Join(faults...)
}

// doorAddress completes the address of a door: no host means loopback. Another host than loopback is refused
// unless insecure, since there is nothing yet that would ask a client who it is.
func doorAddress(address string, insecure bool) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%q is not host:port: %w", address, err)
	}
	if host == "" || host == "localhost" {
		return net.JoinHostPort("127.0.0.1", port), nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || insecure {
		return address, nil
	}
	return "", fmt.Errorf("%q is not a loopback address: this version has no TLS or authentication; "+
		"listen on 127.0.0.1, or set Insecure if everybody who reaches it may read and write", address)
}
