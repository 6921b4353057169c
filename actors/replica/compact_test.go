package replica

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// Compact does at once what Store does in the background.
func (d *drive) Compact(k state.Compaction, done func(state.CompactionResult, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Memory.Compact(k, done)
	d.settle()
}

// keyed is an Append of one record; an empty value is a tombstone.
func keyed(t *testing.T, key, value string) partition.Append {
	var b record.Builder
	r := &record.Record{TimestampMs: 1000, Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	if err := b.Append(r); err != nil {
		t.Fatal(err)
	}
	frame, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return partition.Append{Acks: -1, Epoch: record.NoEpoch, Frame: frame, Deadline: time.Now().Add(limit)}
}

// stored reads the log from the store, without what is in memory.
func (b *bench) stored() (keys map[string]string, records int) {
	b.t.Helper()
	v := b.view.Load()
	cold := segment.New(segment.View{
		Replica: 1, LogStart: v.LogStart, HighWatermark: v.HighWatermark, LogEnd: v.LogEnd,
	}, v.LastIndex(), nil)
	keys = map[string]string{}
	for at := cold.LogStart; ; {
		batches, err := cold.Read(b.drive.Memory, at, 1<<20)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(batches) == 0 {
			return keys, records
		}
		for _, rest := range batches {
			for len(rest) > 0 {
				var batch record.Batch
				if batch, rest, err = record.Next(rest); err != nil {
					b.t.Fatal(err)
				}
				at = batch.LastOffset() + 1
				for r, err := range batch.Records(0) {
					if err != nil {
						b.t.Fatal(err)
					}
					records++
					if keys[string(r.Key)] = string(r.Value); r.Value == nil {
						delete(keys, string(r.Key))
					}
				}
			}
		}
	}
}

// Goal: a log is compacted by itself once its topic says so, through to the tombstones, and the memory for
// the keys comes back; without memory it waits. Method: few keys in many small buckets, one of them deleted;
// Keys refuses at first.
func TestCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &drive{Memory: engine.NewMemory(engine.Options{BucketBytes: 4 << 10})})
		keys := newKeyMemory(0)
		b.keys = keys.acquire
		b.start()
		defer b.system.Close()
		for i := range 60 {
			a := b.do(keyed(t, fmt.Sprint("k", i%5), fmt.Sprint(i, strings.Repeat(".", 500))))
			if a.err != nil {
				t.Fatal(a.err)
			}
		}
		for i := range 25 {
			value := strings.Repeat("x", 600)
			if i == 0 {
				value = ""
			}
			if a := b.do(keyed(t, []string{"k0", "filler"}[min(i, 1)], value)); a.err != nil {
				t.Fatal(a.err)
			}
		}
		settings := partition.Settings{
			Class: on, RetentionMs: -1, RetentionBytes: -1, Compact: true, DirtyRatio: 0.5,
			DeleteRetentionMs: time.Hour.Milliseconds(),
		}
		b.ref.Tell(partition.Configure{Settings: settings})
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if _, n := b.stored(); n != 85 {
			t.Fatalf("%d records without memory for the keys", n)
		}
		keys.free.Store(8 << 20)
		<-time.After(2 * time.Minute)
		synctest.Wait()
		got, n := b.stored()
		if len(got) != 5 || !strings.HasPrefix(got["k4"], "59.") || n > 15 {
			t.Errorf("%d records, %d keys are left", n, len(got))
		}
		if free := keys.free.Load(); free != 8<<20 {
			t.Errorf("%d bytes are lent still", 8<<20-free)
		}
		<-time.After(2 * time.Hour)
		synctest.Wait()
		if left, m := b.stored(); len(left) != 5 || m != n-1 {
			t.Errorf("%d records with the tombstone, %d after two hours", n, m)
		}
	})
}

// Goal: memory that a crashed life has borrowed comes back. Method: forget a lease; release another twice.
func TestLease(t *testing.T) {
	m := newKeyMemory(10)
	borrow := func() *lease {
		release, ok := m.acquire(8)
		if !ok {
			t.Fatal("refused")
		}
		return newLease(release)
	}
	l := borrow()
	if _, ok := m.acquire(8); ok {
		t.Error("lent twice")
	}
	l.back.once()
	l.back.once()
	runtime.KeepAlive(l)
	_ = borrow()
	for end := time.Now().Add(limit); m.free.Load() != 10; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are free", m.free.Load())
		}
		runtime.Gosched()
	}
}
