package client

import (
	"sync/atomic"

	"github.com/millstream-io/millstream/proto/record"
)

// AnyPartition is what a Partitioner returns where it does not matter: records then stick to one partition
// until its batch is closed, which makes fewer and bigger batches.
const AnyPartition record.Partition = -1

// Partitioner chooses among the n partitions of r's topic. It runs on the producing goroutine, must not
// block, and is safe for concurrent use. Another result than AnyPartition or [0, n) fails the record.
type Partitioner func(r Record, n int) record.Partition

// ByKey is the default: the partition that Kafka's clients choose for the key, AnyPartition for a null key.
func ByKey(r Record, n int) record.Partition {
	if r.Key == nil {
		return AnyPartition
	}
	return record.PartitionFor(r.Key, n)
}

// Explicit takes the partition that the record names.
func Explicit(r Record, _ int) record.Partition { return r.Partition }

// RoundRobin returns a partitioner that goes around, whatever the key.
func RoundRobin() Partitioner {
	var next atomic.Uint32
	return func(_ Record, n int) record.Partition {
		return record.Partition((next.Add(1) - 1) % uint32(n))
	}
}
