package partitiontest

import (
	"fmt"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// scripted is a cluster without clients and faults of its own.
func scripted(t *testing.T, o Options) *Cluster {
	cryptotest.SetGlobalRandom(t, o.Seed)
	c := New(o)
	c.clients, c.consumers, c.events = nil, nil, nil
	for _, h := range c.hosts {
		h.settling = false
		h.begin()
	}
	c.await(t, "a leader", func() bool { return c.leader() != nil })
	return c
}

func (c *Cluster) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !c.runUntil(time.Minute, done) {
		t.Fatalf("%s did not come: %s", what, c.state())
	}
}

// produce appends one batch of one value at a host; the answer lands in the returned pointer.
func (c *Cluster) produce(t *testing.T, h *host, acks int8, value string, deadline time.Duration) *partition.Reply {
	var b record.Builder
	if err := b.Append(&record.Record{TimestampMs: c.now.UnixMilli(), Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
	f, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	got := &partition.Reply{}
	h.ask(func(req partition.ReqID) partition.Input {
		return partition.Append{Req: req, Acks: acks, Epoch: record.NoEpoch, Frame: f, Deadline: c.now.Add(deadline)}
	}, func(r partition.Reply) { *got = r })
	return got
}

// Goal: acks 1 and acks all differ. Method: cut the leader off; acks 1 is answered and its record lost with
// the leader, acks all is not answered.
func TestAcksOneAndAllDiffer(t *testing.T) {
	c := scripted(t, Options{Seed: 7})
	l := c.leader()
	kept := c.produce(t, l, -1, "kept", time.Minute)
	c.await(t, "the answer to acks all", func() bool { return kept.Req != 0 })
	c.net.isolated[l.id] = true
	one := c.produce(t, l, 1, "lost.", time.Minute)
	all := c.produce(t, l, -1, "never acknowledged.", time.Minute)
	c.await(t, "the answer to acks 1", func() bool { return one.Req != 0 })
	if one.Err != nil || all.Req != 0 {
		t.Fatalf("acks 1: %+v; acks all: %+v", one, all)
	}
	l.crash()
	c.await(t, "another leader", func() bool { n := c.leader(); return n != nil && n != l })
	c.net.isolated[l.id] = false
	last := c.produce(t, c.leader(), -1, "after", time.Minute)
	c.await(t, "the end", func() bool { return last.Req != 0 && c.converged() })
	for _, h := range c.hosts {
		if got := values(h.readAll()); got != "kept after" {
			t.Errorf("host %d holds %q", h.id, got)
		}
	}
}

func values(log []seen) string {
	var v []string
	for _, s := range log {
		v = append(v, s.value)
	}
	return strings.Join(v, " ")
}

// Goal: a tail that was replaced stays gone, also when its entries lie in buckets that were closed since.
// Method: a leader that is cut off writes over three buckets full of entries that never commit, with acks 1;
// another leader goes on; the first comes back, is truncated, and is started again from its disk. Nothing of
// the lost term may be found, by index, offset or time.
func TestTruncationAcrossRolls(t *testing.T) {
	c := scripted(t, Options{Seed: 11, BucketBytes: 4 << 10})
	old := c.leader()
	first := c.produce(t, old, -1, "first", time.Minute)
	c.await(t, "the first ack", func() bool { return first.Req != 0 && c.converged() })
	lostEpoch := old.view.Epoch
	c.net.isolated[old.id] = true
	writeLost(t, c, old)
	c.await(t, "another leader", func() bool { n := c.leader(); return n != nil && n != old && n.view.Epoch > lostEpoch })
	before := c.now.UnixMilli()
	for i := range 5 {
		r := c.produce(t, c.leader(), -1, fmt.Sprint("new", i), time.Minute)
		c.await(t, "an ack", func() bool { return r.Req != 0 })
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	c.net.isolated[old.id] = false
	c.await(t, "the truncation", c.converged)
	for range 3 { // as it is, after a crash, and after one more
		checkNothingLost(t, c, old, lostEpoch, before)
		old.crash()
		c.await(t, "the restart", func() bool { return old.up && old.view != nil && c.converged() })
	}
}

// writeLost fills more than three buckets of a leader that is cut off.
func writeLost(t *testing.T, c *Cluster, h *host) {
	t.Helper()
	for i := range 12 {
		r := c.produce(t, h, 1, fmt.Sprint("lost", i, strings.Repeat(".", 1500)), time.Minute)
		c.await(t, "an ack of one", func() bool { return r.Req != 0 })
		if r.Err != nil {
			t.Fatalf("lost %d: %v", i, r.Err)
		}
	}
	if tail, _, err := h.store.Load(h.id); err != nil || tail.Last < 13 {
		t.Fatalf("tail %+v, %v", tail, err)
	}
}

func checkNothingLost(t *testing.T, c *Cluster, h *host, lost record.Epoch, newMs int64) {
	t.Helper()
	tail, _, err := h.store.Load(h.id)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := h.store.Entries(h.id, tail.First, tail.Last+1, 1<<30, nil)
	if err != nil || len(entries) != int(tail.Last+1-tail.First) {
		t.Fatalf("%d entries of [%d, %d]: %v", len(entries), tail.First, tail.Last, err)
	}
	for _, e := range entries {
		if strings.Contains(string(e.Frame), "lost") {
			t.Errorf("entry %d of term %d is of the lost tail", e.Index, e.Term)
		}
		if e.Term == uint64(lost) && e.Base > 0 {
			t.Errorf("entry %d at offset %d is of the lost term %d", e.Index, e.Base, lost)
		}
	}
	if _, err := h.store.Entries(h.id, tail.Last+1, tail.Last+2, 1<<20, nil); err == nil {
		t.Error("an entry behind the end can be read")
	}
	if got := values(h.readAll()); got != "first new0 new1 new2 new3 new4" {
		t.Errorf("the log holds %q", got)
	}
	if o, _, err := h.view.SeekTime(h.store, newMs, nil); err != nil || o != 1 {
		t.Errorf("the first record since %d is %d, %v", newMs, o, err)
	}
	for o := record.Offset(0); o < 6; o++ {
		i, err := h.store.Seek(h.id, o)
		if err != nil || entries[i-tail.First].Last < o || entries[i-tail.First].Base > o {
			t.Errorf("offset %d is sought at index %d, %v", o, i, err)
		}
	}
}

// Goal: three replicas elect one leader, replicate, and a fourth bucket still carries what a restart needs.
// Method: roll many times, crash all at once, compare.
func TestRestartOverManyBuckets(t *testing.T) {
	c := scripted(t, Options{Seed: 13, BucketBytes: 4 << 10, Machine: true})
	for i := range 30 {
		r := c.produce(t, c.leader(), -1, fmt.Sprint(i, strings.Repeat(".", 1<<10)), time.Minute)
		c.await(t, "an ack", func() bool { return r.Req != 0 })
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	for _, h := range c.hosts {
		h.crash()
	}
	c.await(t, "the restart", func() bool { return c.converged() && c.leader().view.HighWatermark == 30 })
	for _, h := range c.hosts {
		_, rows, err := h.store.Load(h.id)
		kinds := map[uint8]bool{}
		for _, r := range rows {
			kinds[r.Kind] = true
		}
		if err != nil || !kinds[partition.RowTerms] || !kinds[partition.RowProducers] || !kinds[partition.RowMachine] {
			t.Errorf("host %d carries %v, %v", h.id, kinds, err)
		}
		if n := len(h.readAll()); n != 30 {
			t.Errorf("host %d holds %d records", h.id, n)
		}
	}
	for _, f := range c.history.failures {
		t.Error(f)
	}
}
