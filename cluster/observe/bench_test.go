package observe

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/topology/task"
)

// hotCalls are what the path of a record calls: once a message, an entry, a request or a step.
func hotCalls(m *Metrics) map[string]func() {
	a, k, p, s := m.Actors(), m.Kafka(), m.Partition(1), m.Task(task.ID{App: "app"}, nil)
	id := task.ID{App: "app"}
	return map[string]func(){
		"Received":    func() { a.Received("partition") },
		"PoolWaiting": func() { a.PoolWaiting(3) },
		"Answered":    func() { k.Answered(0, 13, 17_000, 60, 900*time.Microsecond) },
		"Payload":     func() { k.Payload(16_384, 0) },
		"Proposed":    func() { p.Proposed(1, 16_384) },
		"Stepped":     func() { s.Stepped(id, 500, 500) },
		"ProduceRequest": func() {
			k.Payload(16_384, 0)
			a.Received("partition") // Append
			p.Proposed(1, 16_384)
			a.Received("partition") // Persisted
			k.Answered(0, 13, 17_000, 60, 900*time.Microsecond)
		},
	}
}

// BenchmarkObserver is what being observed costs on the path of records, by call and for a whole produce
// request.
func BenchmarkObserver(b *testing.B) {
	calls := hotCalls(New(Options{}))
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		call := calls[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// BenchmarkObserverParallel is a produce request on every processor at once: they share all counters but the
// partition's.
func BenchmarkObserverParallel(b *testing.B) {
	m := New(Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		call := hotCalls(m)["ProduceRequest"]
		for pb.Next() {
			call()
		}
	})
}

// BenchmarkScrape is one scrape of a member with so many partitions as have series of their own.
func BenchmarkScrape(b *testing.B) {
	m := busy(DefaultMaxPartitions, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
