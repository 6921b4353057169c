package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// benchReplica writes entries of one size, made once: only the header is sealed anew for each.
type benchReplica struct {
	id    record.ReplicaID
	tail  state.Tail
	frame []byte
}

// next returns the write of the replica's next entry. The frame is used again, so one write is in flight at
// most.
func (r *benchReplica) next() state.Write {
	i := r.tail.Last + 1
	r.tail.First, r.tail.Last, r.tail.LastTerm, r.tail.Term = 1, i, 1, 1
	e := state.Entry{
		Index: i, Term: 1, Type: state.EntryRecords, Base: record.Offset(i), Last: record.Offset(i),
		MaxTimestampMs: int64(i), Frame: r.frame,
	}
	e.Seal()
	return state.Write{Replica: r.id, Tail: r.tail, Entries: []state.Entry{e}, Sync: true}
}

// BenchmarkGroupCommit measures what the committer makes durable when many replicas write at once, each
// waiting for its own entry.
func BenchmarkGroupCommit(b *testing.B) {
	for _, c := range []struct{ bytes, replicas int }{
		{16 << 10, 64}, {16 << 10, 256}, {1 << 10, 64}, {1 << 10, 256}, {16 << 10, 1},
	} {
		b.Run(fmt.Sprintf("entry=%dKiB/replicas=%d/sync=on", c.bytes>>10, c.replicas), func(b *testing.B) {
			s := openDisk(b, engine.Options{Dir: b.TempDir()})
			b.SetBytes(int64(c.bytes))
			b.ReportAllocs()
			left := make(chan struct{}, c.replicas)
			took := make([][]time.Duration, c.replicas)
			var wg sync.WaitGroup
			b.ResetTimer()
			for n := range c.replicas {
				r := &benchReplica{id: record.ReplicaID(n + 1), frame: make([]byte, state.FrameRoom+c.bytes)}
				wg.Add(1)
				go func() {
					defer wg.Done()
					done := make(chan error, 1)
					for range left {
						from := time.Now()
						s.Append(state.ClassLong, r.next(), func(err error) { done <- err })
						if err := <-done; err != nil {
							b.Error(err)
							return
						}
						took[n] = append(took[n], time.Since(from))
					}
				}()
			}
			for range b.N {
				left <- struct{}{}
			}
			close(left)
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(took...)
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkTailRead measures reading the newest 1 MB of a log of 16 KiB entries.
func BenchmarkTailRead(b *testing.B) {
	s := openDisk(b, engine.Options{Dir: b.TempDir()})
	l := enginetest.NewLog(1, state.ClassLong)
	for range 16 {
		put(b, s, l.Class, l.Append(1, entries(16, 16<<10)...))
	}
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	var dst []state.Entry
	for b.Loop() {
		var err error
		if dst, err = s.Entries(l.ID, l.Tail.Last-63, l.Tail.Last+1, 2<<20, dst[:0]); err != nil || len(dst) != 64 {
			b.Fatal(len(dst), err)
		}
	}
}

// BenchmarkSeek measures a seek into the middle of a log of 16 KiB entries.
func BenchmarkSeek(b *testing.B) {
	s := openDisk(b, engine.Options{Dir: b.TempDir()})
	l := enginetest.NewLog(1, state.ClassLong)
	for range 16 {
		put(b, s, l.Class, l.Append(1, entries(16, 16<<10)...))
	}
	b.ReportAllocs()
	at := record.Offset(0)
	for b.Loop() {
		at = (at + 37) % 500
		if _, err := s.Seek(l.ID, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen measures opening a store with one class of 64 replicas, cleanly closed.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := openDisk(b, engine.Options{Dir: dir})
	for n := range 64 {
		l := enginetest.NewLog(record.ReplicaID(n+1), state.ClassLong)
		put(b, s, l.Class, l.Append(1, entries(4, 16<<10)...))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	var open time.Duration
	for b.Loop() {
		from := time.Now()
		s, err := engine.Open(engine.Options{Dir: dir, BallastBytes: -1})
		if err != nil {
			b.Fatal(err)
		}
		open += time.Since(from)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(open.Microseconds())/float64(b.N), "open-µs")
}
