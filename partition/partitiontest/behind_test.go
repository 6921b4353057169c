package partitiontest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// trim deletes the records before an offset at a host, and waits for the answer.
func (c *Cluster) trim(t *testing.T, h *host, to record.Offset) partition.Reply {
	t.Helper()
	var got partition.Reply
	h.ask(func(req partition.ReqID) partition.Input {
		return partition.Trim{Req: req, To: to, Deadline: c.now.Add(time.Minute)}
	}, func(r partition.Reply) { got = r })
	c.await(t, "the answer to a trim", func() bool { return got.Req != 0 || got.Err != nil })
	return got
}

// fill appends values at the leader, one batch each.
func (c *Cluster) fill(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		r := c.produce(t, c.leader(), -1, fmt.Sprint(i, strings.Repeat(".", 1<<10)), time.Minute)
		c.await(t, "an ack", func() bool { return r.Req != 0 })
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// first is the index that the host's log on the disk begins with.
func (h *host) first(t *testing.T) uint64 {
	t.Helper()
	tail, _, err := h.store.Load(h.id)
	if err != nil {
		t.Fatal(err)
	}
	return tail.First
}

// Goal: a follower that was away while the log moved on gets the log's start, keeps it over a crash, and can
// lead afterwards with everything that followed from the records it never saw. Method: cut a follower off,
// delete records beyond its end and give their buckets back; join it again, crash it as soon as it has begun
// anew, then cut the old leader off. The machines compare what they applied.
func TestFollowerBehindTheLogStart(t *testing.T) {
	for _, crash := range []bool{false, true} {
		c := scripted(t, Options{Seed: 17, BucketBytes: 4 << 10, Machine: true, Trim: true})
		c.events = nil
		c.topic.RetentionMs, c.topic.RetentionBytes = 0, 0
		for _, h := range c.hosts {
			h.settling = false
			h.begin()
		}
		c.await(t, "a leader", func() bool { return c.leader() != nil && c.converged() })
		c.fill(t, 0, 5)
		l := c.leader()
		f := c.hosts[int(l.id)%3]
		c.net.isolated[f.id] = true
		c.fill(t, 5, 40)
		if r := c.trim(t, c.leader(), 30); r.Err != nil || r.Base != 30 {
			t.Fatalf("trim: %+v", r)
		}
		c.await(t, "the cut", func() bool { return l.first(t) > 20 })
		for _, h := range c.hosts {
			if err := h.store.Reclaim(); err != nil {
				t.Fatal(err)
			}
		}
		if f.first(t) != 2 {
			t.Fatalf("the follower that is away begins with %d", f.first(t))
		}
		c.net.isolated[f.id] = false
		c.await(t, "the log's start", func() bool { return f.first(t) > 20 })
		if crash {
			f.crash()
		}
		c.await(t, "the end", c.converged)
		c.net.isolated[l.id] = true
		c.await(t, "another leader", func() bool { n := c.leader(); return n != nil && n != l })
		c.fill(t, 40, 45)
		c.net.isolated[l.id] = false
		c.await(t, "the end", c.converged)
		for _, h := range c.hosts {
			if got := h.readAll(); len(got) != 15 || got[0].offset != 30 || got[0].value != "30" || got[14].value != "44" {
				t.Errorf("host %d holds %d records: %+v", h.id, len(got), got)
			}
			if _, err := h.view.Read(h.store, 29, 1); !errors.Is(err, fault.OffsetOutOfRange) {
				t.Errorf("host %d serves what was deleted: %v", h.id, err)
			}
		}
		for _, f := range c.history.failures {
			t.Error(f)
		}
	}
}

// Goal: the log waits for a follower that is there, and not for ever. Method: a follower whose disk is slow
// while records are deleted keeps the log's beginning until it has them, one that is cut off until the hold
// is over.
func TestHoldForFollowers(t *testing.T) {
	c := scripted(t, Options{Seed: 19, BucketBytes: 4 << 10})
	c.fill(t, 0, 5)
	c.await(t, "all to be even", c.converged)
	l := c.leader()
	f := c.hosts[int(l.id)%3]
	f.slow = true
	var last *partition.Reply
	for i := 5; i < 30; i++ {
		last = c.produce(t, l, -1, fmt.Sprint(i), time.Minute)
	}
	c.await(t, "the last ack", func() bool { return last.Req != 0 })
	c.trim(t, l, 30)
	end := func() uint64 {
		tail, _, err := f.store.Load(f.id)
		if err != nil {
			t.Fatal(err)
		}
		return tail.Last
	}
	begun, held := end(), l.first(t)
	c.await(t, "the cut", func() bool { return l.first(t) > begun })
	if end() < l.first(t)-1 || held != 2 {
		t.Errorf("the log began with %d, and begins with %d while the follower ends with %d", held, l.first(t), end())
	}
	f.slow = false
	c.await(t, "the end", c.converged)
	if c.reached["installed"] > 0 {
		t.Errorf("the slow follower began anew")
	}
	c.net.isolated[f.id] = true
	c.fill(t, 30, 60)
	c.trim(t, l, 60)
	began, at := c.now, end()
	c.await(t, "the cut", func() bool { return l.first(t) > at+25 })
	c.net.isolated[f.id] = false
	c.await(t, "the end", c.converged)
	if c.reached["installed"] != 1 {
		t.Errorf("%d times begun anew; the cut took %v", c.reached["installed"], c.now.Sub(began))
	}
}
