package real

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
)

// reading is what the members of a group have read and committed, and what is wrong with it.
type reading struct {
	mu        sync.Mutex
	seen      map[at]bool
	committed map[int32]int64 // acknowledged positions
	faults    []error
}

func newReading() *reading { return &reading{seen: map[at]bool{}, committed: map[int32]int64{}} }

// read notes records. One that lies below an acknowledged position was read although it was done with.
func (r *reading) read(records []*kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		if done := r.committed[rec.Partition]; rec.Offset < done {
			r.faults = append(r.faults, fmt.Errorf("record %d@%d was read again, %d was committed", rec.Partition, rec.Offset, done))
		}
		r.seen[at{rec.Partition, rec.Offset}] = true
	}
}

// done notes that the positions behind records were acknowledged.
func (r *reading) done(records []*kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		r.committed[rec.Partition] = max(r.committed[rec.Partition], rec.Offset+1)
	}
}

func (r *reading) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// missing returns what was written and never read, and every fault found on the way.
func (r *reading) missing(acked *journal) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	acked.mu.Lock()
	defer acked.mu.Unlock()
	faults := r.faults
	for where := range acked.values {
		if !r.seen[where] {
			faults = append(faults, fmt.Errorf("record %d@%d was skipped", where.partition, where.offset))
		}
	}
	return faults
}

// caughtUp reports whether the newest acknowledged record of each partition was read, or something is wrong.
func (r *reading) caughtUp(acked *journal) bool {
	newest := map[int32]int64{}
	acked.mu.Lock()
	for where := range acked.values {
		newest[where.partition] = max(newest[where.partition], where.offset)
	}
	acked.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, o := range newest {
		if !r.seen[at{p, o}] {
			return len(r.faults) > 0
		}
	}
	return true
}

// consume runs a member of a group until it is stopped: it polls, and commits what it has polled.
func (r *reading) consume(t *testing.T, address, group string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := connect(t, address, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.SessionTimeout(6*time.Second), kgo.RebalanceTimeout(6*time.Second),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	var running sync.WaitGroup
	running.Go(func() {
		defer c.Close()
		for ctx.Err() == nil {
			records := c.PollRecords(ctx, 2000).Records()
			r.read(records)
			if len(records) > 0 && c.CommitRecords(ctx, records...) == nil {
				r.done(records)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// Goal: kill -9 of the member under a group that consumes: after the restart nothing that was committed is
// read again, nothing is skipped, and the group is the same one. Method: a producer and two members of a
// group on one address; the process is killed and started again on its directory and port, several times.
func TestKillUnderGroup(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(11, uint64(*kills)))
	var acked journal
	s := harness.StartServer(t, dir)
	address := s.Kafka()
	create(t, address)
	r := newReading()
	stops := []func(){r.consume(t, address, "team"), r.consume(t, address, "team")}
	for round := range (*kills + 1) / 2 { // each costs the group some seconds
		stop := load(t, address, round, &acked)
		acked.awaitMore(t, 200)
		begin := r.count()
		harness.Await(t, limit, func() bool { return r.count() > begin+100 }, "the group reads in round %d", round)
		time.AfterFunc(time.Duration(rng.IntN(300))*time.Millisecond, s.Kill)
		acked.awaitQuiet(t, s)
		stop()
		s = harness.StartServer(t, dir, "--kafka-listen", address)
	}
	// What was not acknowledged may be there too, and be read.
	harness.Await(t, limit, func() bool { return r.count() >= acked.len() }, "as much is read as was written")
	harness.Await(t, limit, func() bool { return r.caughtUp(&acked) }, "everything is read")
	if faults := r.missing(&acked); len(faults) > 0 {
		t.Fatalf("%d faults, the first ones %v", len(faults), faults[:min(5, len(faults))])
	}
	for _, stop := range stops {
		stop()
	}
	r.compareCommitted(t, address, "team")
	t.Logf("%d records read, %d acknowledged as written", r.count(), acked.len())
	s.Stop()
}

// compareCommitted checks that every acknowledged commit is what the group is at now.
func (r *reading) compareCommitted(t *testing.T, address, group string) {
	t.Helper()
	c := connect(t, address)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	offsets, err := kadm.NewClient(c).FetchOffsets(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range r.committed {
		if got, ok := offsets.Lookup(topic, p); !ok || got.At < want {
			t.Errorf("partition %d is at %+v, %d was acknowledged", p, got, want)
		}
	}
}

// Goal: the checker of reading finds what was read again and what was skipped. Method: tell it so.
func TestReadingFindsFaults(t *testing.T) {
	var acked journal
	acked.add(at{0, 0}, 1)
	acked.add(at{0, 1}, 1)
	r := newReading()
	first, second := &kgo.Record{Partition: 0, Offset: 0}, &kgo.Record{Partition: 0, Offset: 1}
	r.read([]*kgo.Record{first})
	if faults := r.missing(&acked); len(faults) != 1 {
		t.Fatalf("a skipped record: %v", faults)
	}
	r.read([]*kgo.Record{second})
	r.done([]*kgo.Record{first})
	if faults := r.missing(&acked); len(faults) != 0 {
		t.Fatalf("nothing is wrong, but %v", faults)
	}
	r.read([]*kgo.Record{first})
	if faults := r.missing(&acked); len(faults) != 1 {
		t.Fatalf("a record that was read again: %v", faults)
	}
}
