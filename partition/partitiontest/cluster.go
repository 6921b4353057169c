package partitiontest

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Options says what a run looks like. The zero value of every field but Seed is useful.
type Options struct {
	Seed        uint64
	Replicas    int           // default 3
	Clients     int           // default 3, every third of them with acks 1
	Batches     int           // per client; default 40
	Chaos       time.Duration // how long faults are injected, in virtual time; default 15 s
	BucketBytes int64         // default 24 KB, so that logs roll often
	Hunt        bool          // cut off every new leader at once and crash the others
	Machine     bool          // replicas feed a machine, which a commander asks and tells
	Trim        bool          // records are deleted, on request and by retention
	Compact     bool          // the log is compacted by key, by each replica on its own
	Fence       bool          // tasks have one life after the other, each of which fences those before
	Relaxed     bool          // records are acknowledged before they are durable; with one replica and no consumers
	Damage      bool          // bits flip in what one of at least three replicas has stored
	Break       Break         // what is broken on purpose

	OnView func(*segment.View) // called with every view that a replica publishes; may be nil
}

// Break is a switch that breaks what one checker looks for.
type Break int

// The switches. Intact breaks nothing.
const (
	Intact           Break = iota
	AckEarly               // P1: acks all is answered like acks 1
	NoSync                 // P1: the store acknowledges before anything is durable
	ResendReversed         // P2: clients are not idempotent and resend in reverse order
	NotIdempotent          // P3: clients retry without a producer id
	ReadAhead              // P4: consumers read behind the high watermark
	ForgetVote             // P5: a crash forgets whom the replica voted for
	NeverHeal              // P9: a majority stays cut off
	AskAnyone              // P10: any replica answers questions from what it has applied
	ForgetStart            // P4: a crash forgets the log start
	TrimTooMuch            // P4: the log is cut off behind its log start
	ServeTrimmed           // P4: what is below the log start is still served
	ExpireEarly            // P4: retention keeps half as long as the topic says
	DropTombstones         // P4: compaction drops tombstones that nobody has said may go
	CleanUncommitted       // P4: compaction looks beyond what is committed
	DropNewest             // P4: compaction drops entries that hold the newest of a key
	ServeDamaged           // P11: damaged frames are served as if they were right
	LeadDamaged            // P11: a replica is not told that its log is damaged
	ForgetFence            // P5: a restart forgets what was fenced
	NeverDurable           // P1: what is acknowledged before it is durable never becomes so by itself
)

// Cluster is one run: hosts, clients and consumers in one loop in virtual time. Not safe for concurrent use.
type Cluster struct {
	o         Options
	rng       *rand.Rand
	now       time.Time
	start     time.Time
	events    events
	seq       uint64
	hosts     []*host
	net       network
	clients   []*client
	tasks     []*task
	consumers []*consumer
	history   History
	topic     partition.Settings // what the topic says of retention and compaction
	keys      uint64             // how many keys there are
	hold      time.Duration      // how long the log waits for followers before it is cut off
	trace     hash.Hash64
	reached   map[string]int // how often something of interest happened
}

// event is something that happens at a time; equal times happen in the order in which they were asked for.
type event struct {
	at  time.Time
	seq uint64
	run func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push is for container/heap.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop is for container/heap.
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// New makes a cluster whose replicas are starting. The caller has made crypto/rand replayable.
func New(o Options) *Cluster {
	o.Replicas = orDefault(o.Replicas, 3)
	o.Clients = orDefault(o.Clients, 3)
	o.Batches = orDefault(o.Batches, 40)
	o.Chaos = orDefault(o.Chaos, 15*time.Second)
	o.BucketBytes = orDefault(o.BucketBytes, 24<<10)
	c := &Cluster{
		o: o, rng: rand.New(rand.NewPCG(o.Seed, 0)), now: time.UnixMilli(1_000_000), trace: fnv.New64a(),
		history: newHistory(), reached: map[string]int{},
	}
	c.start = c.now
	c.net.c = c
	c.topic = partition.Settings{Class: state.ClassLong}
	if o.Relaxed {
		c.topic.Class, c.topic.FlushMs = state.ClassRelaxed, 50+c.rng.Int64N(1000)
		c.history.flushMs = c.topic.FlushMs
	}
	c.chooseRetention()
	for i := range o.Replicas {
		c.hosts = append(c.hosts, newHost(c, record.ReplicaID(i+1)))
	}
	for i := range o.Clients {
		c.clients = append(c.clients, newClient(c, i))
	}
	c.scheduleTasks()
	c.chooseCompaction()
	c.scheduleDamage()
	for _, h := range c.hosts {
		h.begin()
	}
	if o.Machine {
		c.after(0, (&commander{c: c}).tick)
	}
	if o.Trim {
		c.scheduleTrims()
	}
	for i := range 2 {
		if o.Relaxed {
			break // they see what is lost afterwards
		}
		c.consumers = append(c.consumers, newConsumer(c, i))
	}
	return c
}

func orDefault[T int | int64 | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// after lets run happen d from now.
func (c *Cluster) after(d time.Duration, run func()) {
	c.seq++
	heap.Push(&c.events, event{at: c.now.Add(d), seq: c.seq, run: run})
}

// between returns a duration of [lo, hi).
func (c *Cluster) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(c.rng.Int64N(int64(hi-lo)))
}

// chance is true with probability p.
func (c *Cluster) chance(p float64) bool { return c.rng.Float64() < p }

// note adds numbers to the trace.
func (c *Cluster) note(kind byte, numbers ...uint64) {
	b := []byte{kind}
	b = binary.BigEndian.AppendUint64(b, uint64(c.now.UnixNano()))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	_, _ = c.trace.Write(b)
}

// runUntil runs events until done says so, at most for limit of virtual time.
func (c *Cluster) runUntil(limit time.Duration, done func() bool) bool {
	end := c.now.Add(limit)
	for len(c.events) > 0 {
		if done != nil && done() {
			return true
		}
		if c.events[0].at.After(end) {
			break
		}
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.run()
	}
	c.now = end
	return done != nil && done()
}

// Run plays the whole of it: chaos, then peace until every client is done and all replicas hold the same. It
// returns what happened; Liveness is set where peace did not bring that about.
func (c *Cluster) Run() *History {
	c.scheduleFaults()
	c.runUntil(c.o.Chaos, nil)
	c.heal()
	if !c.runUntil(2*time.Minute, c.quiet) {
		c.history.fail("P9", "the clients were not done two minutes after the last fault: %s", c.state())
	}
	for _, h := range c.hosts {
		h.crash() // what is read below comes from what is durable
	}
	if !c.runUntil(time.Minute, c.converged) {
		c.history.fail("P9", "the replicas did not converge: %s", c.state())
	}
	for _, h := range c.hosts {
		if h.sick { // what it serves was looked at when it was served
			continue
		}
		if h.view != nil {
			c.history.start = max(c.history.start, h.view.LogStart)
		}
		c.history.logs = append(c.history.logs, h.readAll())
	}
	c.history.assemble()
	return &c.history
}

// Trace is a hash over everything that happened so far.
func (c *Cluster) Trace() uint64 { return c.trace.Sum64() }

// quiet reports whether all clients have what they want and consumers have read it.
func (c *Cluster) quiet() bool {
	for _, cl := range c.clients {
		if !cl.done() {
			return false
		}
	}
	for _, t := range c.tasks {
		if !t.done() {
			return false
		}
	}
	l := c.leader()
	for _, co := range c.consumers {
		if l == nil || co.at < l.view.HighWatermark {
			return false
		}
	}
	return c.converged()
}

// converged reports whether every host is up and shows the same log.
func (c *Cluster) converged() bool {
	l := c.leader()
	if l == nil {
		return false
	}
	for _, h := range c.hosts {
		if h.sick {
			continue
		}
		if h.view == nil || !h.up || h.view.HighWatermark != l.view.HighWatermark || h.view.Epoch != l.view.Epoch ||
			h.view.LogStart != l.view.LogStart || h.view.LogEnd != l.view.HighWatermark {
			return false
		}
		// A majority commits before the slowest has written, or has cut off what it had written instead.
		tail, _, err := h.store.Load(h.id)
		if err != nil || tail.Last < h.view.LastIndex() || tail.LastTerm != uint64(l.view.Epoch) {
			return false
		}
		if c.o.Trim && !h.cutOff(tail) {
			return false
		}
	}
	return true
}

// leader is the host that is ready in the highest epoch, or nil.
func (c *Cluster) leader() *host {
	var l *host
	for _, h := range c.hosts {
		if h.up && h.view != nil && h.view.Ready && (l == nil || h.view.Epoch > l.view.Epoch) {
			l = h
		}
	}
	return l
}

func (c *Cluster) state() string {
	s := ""
	for _, h := range c.hosts {
		s += fmt.Sprintf("host %d up=%v", h.id, h.up)
		if h.view != nil {
			s += fmt.Sprintf(" leader=%v ready=%v epoch=%d start=%d hw=%d end=%d", h.view.Leader, h.view.Ready, h.view.Epoch, h.view.LogStart,
				h.view.HighWatermark, h.view.LogEnd)
		}
		s += "; "
	}
	for _, cl := range c.clients {
		s += fmt.Sprintf("client %d made=%d open=%d inflight=%d; ", cl.id, cl.made, len(cl.open), cl.inflight)
	}
	for _, t := range c.tasks {
		s += fmt.Sprintf("task %d lives=%d done=%v; ", t.id, len(t.lives), t.done())
	}
	for _, co := range c.consumers {
		s += fmt.Sprintf("consumer at %d; ", co.at)
	}
	return s
}
