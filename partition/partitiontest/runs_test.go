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

// keyed is a scripted cluster of a compacted topic, with records of 20 keys in it.
func keyed(t *testing.T, seed uint64) *Cluster {
	cryptotest.SetGlobalRandom(t, seed)
	c := New(Options{Seed: seed, BucketBytes: 4 << 10, Compact: true})
	c.clients, c.consumers, c.events = nil, nil, nil
	c.topic = partition.Settings{Class: state.ClassLong, Compact: true, DirtyRatio: 0.01, DeleteRetentionMs: 1000}
	for _, h := range c.hosts {
		h.settling = false
		h.begin()
	}
	c.await(t, "a leader", func() bool { return c.leader() != nil })
	return c
}

// put appends one record and waits for it.
func (c *Cluster) put(t *testing.T, key string, n int) {
	t.Helper()
	var b record.Builder
	value := fmt.Sprint("c0/", n, "/", strings.Repeat(".", 300))
	if err := b.Append(&record.Record{TimestampMs: c.now.UnixMilli(), Key: []byte(key), Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
	f, err := b.Build(state.FrameRoom, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	var got partition.Reply
	c.leader().ask(func(req partition.ReqID) partition.Input {
		return partition.Append{Req: req, Acks: -1, Epoch: record.NoEpoch, Frame: f, Deadline: c.now.Add(time.Minute)}
	}, func(r partition.Reply) { got = r })
	c.await(t, "an ack", func() bool { return got.Req != 0 })
	if got.Err != nil {
		t.Fatal(got.Err)
	}
}

// rows is how many rows the host's log takes on the disk.
func (h *host) rows(t *testing.T) (n int) {
	t.Helper()
	tail, _, err := h.store.Load(h.id)
	if err != nil {
		t.Fatal(err)
	}
	for at := tail.First; at <= tail.Last; n++ {
		e, err := h.store.Entries(h.id, at, at+1, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		at = e[0].Through() + 1
	}
	return n
}

// Goal: a follower that was away while the log was compacted gets only what is left, holds runs as the leader
// does, and ends with the same table, also when it crashes on the way and when the leader changes in the
// middle of a run. Method: cut a follower off, write 20 keys 20 times and compact; join it, and hand the
// leadership on while it catches up.
func TestFollowerOverRuns(t *testing.T) {
	for seed, disturb := range []func(c *Cluster, f *host){
		nil,
		func(_ *Cluster, f *host) { f.crash() },
		func(c *Cluster, _ *host) { c.leader().step(partition.TransferLeader{}) },
	} {
		c := keyed(t, uint64(31+seed))
		c.put(t, "k0", 0)
		c.await(t, "all to be even", c.converged)
		l := c.leader()
		f := c.hosts[int(l.id)%3]
		c.net.isolated[f.id] = true
		for i := range 400 {
			c.put(t, fmt.Sprint("k", i%20), i)
		}
		c.await(t, "the pass", func() bool { return l.rows(t) < 120 })
		c.net.isolated[f.id] = false
		if disturb != nil {
			c.await(t, "the first run", func() bool { return c.reached["run-received"] > 0 })
			disturb(c, f)
		}
		c.await(t, "the end", c.converged)
		for _, h := range c.hosts {
			h := h
			c.await(t, "its passes", func() bool { return h.up && h.rows(t) < 120 })
			table := map[string]string{}
			for _, s := range h.readAll() {
				table = fold(table, s)
			}
			for i := range 20 {
				if got := table[fmt.Sprint("k", i)]; got != fmt.Sprint("c0/", 380+i, "/") {
					t.Errorf("%d: host %d has %q for k%d", seed, h.id, got, i)
				}
			}
		}
		if c.reached["run-received"] == 0 {
			t.Errorf("%d: the follower was sent no run", seed)
		}
		for _, f := range c.history.failures {
			t.Error(f)
		}
	}
}

// Goal: a leadership is handed on at once, to who was named or to the one that has most. Method: name each
// host in turn; name nobody.
func TestTransfer(t *testing.T) {
	c := scripted(t, Options{Seed: 41})
	for i := range 6 {
		c.await(t, "all to be even", c.converged)
		l := c.leader()
		to := record.ReplicaID(int(l.id)%3 + 1)
		if i > 3 {
			to = 0
		}
		began := c.now
		l.step(partition.TransferLeader{To: to})
		c.await(t, "the other leader", func() bool { n := c.leader(); return n != nil && n != l && (to == 0 || n.id == to) })
		if took := c.now.Sub(began); took > 500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	}
}

// Goal: a leader that meets damage when a follower needs the entry hands its leadership on, and the follower
// gets it from the others; it says no more that it leads. Method: three values, a follower that is away, a
// bit flipped at the leader, and no memory of it.
func TestDamagedLeaderStepsAside(t *testing.T) {
	c := scripted(t, Options{Seed: 43, BucketBytes: 4 << 10})
	c.fill(t, 0, 3)
	c.await(t, "all to be even", c.converged)
	l := c.leader()
	f := c.hosts[int(l.id)%3]
	c.net.isolated[f.id] = true
	c.fill(t, 3, 30)
	if l.store.Disk().Damage([]byte("5....")) == 0 {
		t.Fatal("nothing to damage")
	}
	l.sick = true
	c.net.isolated[f.id] = false
	c.await(t, "another leader", func() bool { n := c.leader(); return n != nil && n != l })
	c.await(t, "the follower", c.converged)
	if got := len(f.readAll()); got != 30 {
		t.Errorf("the follower holds %d records", got)
	}
	n := c.leader()
	n.step(partition.TransferLeader{To: l.id})
	c.runUntil(5*time.Second, nil)
	if c.leader() == l {
		t.Error("the damaged replica leads again")
	}
	for _, f := range c.history.failures {
		t.Error(f)
	}
}
