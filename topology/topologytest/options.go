package topologytest

import (
	"time"

	"github.com/millstream-io/millstream/topology/task"
)

// Option changes a driver.
type Option interface{ apply(*options) }

type option func(*options)

func (f option) apply(o *options) { f(o) }

type options struct {
	partitions    int
	byTopic       map[string]int
	startAt       time.Time
	maxBatchBytes int
	tune          func(*task.Config)
	lossy         bool // acknowledge some batches without keeping them: the negative control of our own tests
}

func defaults() options {
	return options{
		partitions: 1, byTopic: map[string]int{}, startAt: time.UnixMilli(1_700_000_000_000).UTC(),
		maxBatchBytes: 1 << 20,
	}
}

// Partitions gives every topic n partitions instead of one. With it the topology runs as n tasks per
// sub-topology.
func Partitions(n int) Option { return option(func(o *options) { o.partitions = n }) }

// TopicPartitions gives one topic n partitions; 0 means that it does not exist.
func TopicPartitions(topic string, n int) Option {
	return option(func(o *options) { o.byTopic[topic] = n })
}

// StartAt sets the clock's first time; without it that is 2023-11-14 22:13:20 UTC.
func StartAt(t time.Time) Option { return option(func(o *options) { o.startAt = t }) }

// MaxBatchBytes is the size above which topics refuse a batch with fault.RecordTooLarge; without it 1 MiB.
func MaxBatchBytes(n int) Option { return option(func(o *options) { o.maxBatchBytes = n }) }

// Tune lets f change the limits of every task's configuration before it starts.
func Tune(f func(*task.Config)) Option { return option(func(o *options) { o.tune = f }) }
