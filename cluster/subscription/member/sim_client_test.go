package member

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// batchBytes and batchRecords are the size of every batch of the world.
const (
	batchBytes   = 100
	batchRecords = 5
)

// simClient is a process: a member core with what drives it, and the client that uses it.
type simClient struct {
	w        *world
	name     string
	instance string
	core     *Core
	cfg      Config

	gone       bool
	pausedTill time.Time
	wakeAt     time.Time
	stubborn   bool // does not give partitions back
	lazy       bool // gives no credit
	steps      int

	holds   map[client.TopicPartition]*holding // as the client believes
	owed    int                                // bytes that were delivered and not paid back
	commits map[uint64][]client.GroupOffset    // without an answer
	id      uint64
	fetches map[uint64]Fetch
	ended   error
}

// holding is what a client knows of a partition that it has.
type holding struct {
	next     record.Offset // to come
	worked   record.Offset // read and worked off
	revoking bool
}

func (w *world) newClient(instance string) *simClient {
	c := &simClient{
		w: w, name: fmt.Sprintf("c%d", len(w.clients)), instance: instance,
		stubborn: w.rng.IntN(6) == 0, lazy: w.rng.IntN(8) == 0,
		holds: map[client.TopicPartition]*holding{}, commits: map[uint64][]client.GroupOffset{}, fetches: map[uint64]Fetch{},
	}
	topics := []string{"t", "t0", "t1", "t2"}
	if w.rng.IntN(3) == 0 {
		topics = topics[:1+w.rng.IntN(3)]
	}
	c.cfg = Config{
		SubscribeRequest: client.SubscribeRequest{
			Group: "g", Topics: topics, Instance: instance, ClientID: c.name, Start: client.TimestampEarliest,
			SessionTimeout: w.between(6*time.Second, 12*time.Second), RebalanceTimeout: w.between(5*time.Second, 12*time.Second),
			Credit: batchBytes * (1 + w.rng.IntN(4)), MaxPartitionBytes: 1000,
		},
		Rand: rand.New(rand.NewPCG(w.rng.Uint64(), 1)),
	}
	w.clients = append(w.clients, c)
	c.core = New(c.cfg, w.now)
	c.step(Tick{})
	return c
}

// then runs something in this process later: at once, after what a pause has left, or not at all.
func (c *simClient) then(d time.Duration, do func()) {
	c.w.after(d, func() {
		switch {
		case c.gone:
		case c.w.now.Before(c.pausedTill):
			c.then(c.pausedTill.Sub(c.w.now), do)
		default:
			do()
		}
	})
}

// step drives the core.
func (c *simClient) step(in Input) {
	if c.gone || c.ended != nil {
		return
	}
	c.steps++
	e := c.core.Step(c.w.now, in)
	for _, name := range e.Drop {
		must(c.holds[name] != nil, "%s: drop of %v, which the client does not know", c.name, name)
	}
	for _, t := range e.Tell {
		if t.Event != nil {
			c.take(t.Event)
		} else {
			c.records(t.Records)
		}
	}
	for _, d := range e.Done {
		c.done(d)
	}
	for _, token := range e.Cancel {
		if _, fetch := c.fetches[token]; fetch {
			c.then(c.w.between(0, 5*time.Millisecond), func() { c.fetched(token) })
		}
	}
	for _, a := range e.Ask {
		c.ask(a)
	}
	if e.End != nil {
		c.ended = e.End
		c.w.check.ended(c)
		return
	}
	c.wakeAt = e.Wake
	if !e.Wake.IsZero() {
		c.then(max(0, e.Wake.Sub(c.w.now)), func() {
			if c.wakeAt.Equal(e.Wake) {
				c.step(Tick{})
			}
		})
	}
}

// ask carries a question to the world, with delays both ways.
func (c *simClient) ask(a Ask) {
	open := true
	answer := func(v any, err error) {
		if open {
			open = false
			c.then(0, func() { c.step(Answered{a.Token, v, err}) })
		}
	}
	if _, fetch := a.What.(Fetch); !a.Deadline.IsZero() && !fetch {
		c.w.after(max(0, a.Deadline.Sub(c.w.now)), func() { answer(nil, fault.New(fault.RequestTimedOut, "no answer")) })
	}
	there := c.w.between(time.Millisecond, 50*time.Millisecond)
	ask := func(in group.Request, value func(group.Reply) any) {
		c.w.after(there, func() { c.w.request(in, func(r group.Reply) { answer(value(r), r.Err) }) })
	}
	same := func(r group.Reply) any { return r.Answer }
	switch q := a.What.(type) {
	case group.Join:
		ask(q, same)
	case group.Sync:
		if c.w.faults.greedyLeader {
			c.greed(q.Assignments)
		}
		ask(q, same)
	case group.Heartbeat:
		if c.w.faults.lying {
			c.w.after(there, func() { answer(nil, nil) })
			return
		}
		ask(q, same)
	case group.Leave:
		ask(q, same)
	case group.CommitOffsets:
		ask(q, func(group.Reply) any { return make([]error, len(q.Positions)) })
	case LookUp:
		shapes := map[string]assign.Shape{}
		for _, name := range q.Topics {
			if s, ok := c.w.topics[name]; ok {
				shapes[name] = s
			}
		}
		answer(shapes, nil)
	case Positions:
		c.w.after(there, func() { answer(c.positions(q)) })
	case Offsets:
		c.w.after(there, func() { answer(make([]client.OffsetAnswer, len(q.Queries)), nil) })
	case Fetch:
		c.fetches[a.Token] = q
		c.then(there, func() { c.poll(a.Token, a.Deadline) })
	}
}

// greed gives all partitions of t to the first member that is named, whoever holds them.
func (c *simClient) greed(all []group.Assignment) {
	for i := range all {
		a, err := assign.DecodeAssignment(all[i].Bytes)
		must(err == nil, "%v", err)
		if i == 0 {
			a.Partitions = nil
			for n := range c.w.topics["t"].Partitions {
				a.Partitions = append(a.Partitions, assign.Partition{Topic: "t", ID: c.w.topics["t"].ID, Number: record.Partition(n)})
			}
		}
		all[i].Bytes = assign.EncodeAssignment(a)
	}
}

func (c *simClient) positions(q Positions) (any, error) {
	if c.w.down {
		return nil, fault.New(fault.CoordinatorNotAvailable, "down")
	}
	out := make([]record.Offset, len(q.Partitions))
	for i, p := range q.Partitions {
		at, ok := c.w.positions[nameOf(p)]
		if out[i] = at; !ok {
			out[i] = -1
		}
	}
	return out, nil
}

// poll answers a fetch when there is something, or at its end.
func (c *simClient) poll(token uint64, deadline time.Time) {
	q, open := c.fetches[token]
	if !open {
		return
	}
	for _, p := range q.Partitions {
		if c.w.ends[nameOf(p.Partition)] > p.From {
			c.fetched(token)
			return
		}
	}
	if !c.w.now.Before(deadline) {
		c.fetched(token)
		return
	}
	c.then(200*time.Millisecond, func() { c.poll(token, deadline) })
}

// fetched answers a fetch with whole batches, the first of which may begin before the offset.
func (c *simClient) fetched(token uint64) {
	q, open := c.fetches[token]
	if !open {
		return
	}
	delete(c.fetches, token)
	out := make([]Fetched, len(q.Partitions))
	left := q.MaxBytes
	for i, p := range q.Partitions {
		end := c.w.ends[nameOf(p.Partition)]
		out[i] = Fetched{Readable: end, HighWatermark: end}
		if c.w.rng.IntN(200) == 0 {
			out[i].Err = fault.New(fault.NotLeader, "moved")
			continue
		}
		next := p.From
		for next < end && (left >= batchBytes || left == q.MaxBytes) && (out[i].Bytes < p.MaxBytes || out[i].Bytes == 0) {
			next = min(end, next-next%batchRecords+batchRecords)
			out[i].Bytes += batchBytes
			left -= batchBytes
		}
		if out[i].Next = next; c.w.faults.skipping && out[i].Bytes > 0 && c.w.rng.IntN(50) == 0 {
			out[i].Next++
		}
	}
	c.w.check.answered(c, q, out)
	c.step(Answered{Token: token, Answer: out})
}

// take is the client's part: what it does about an event.
func (c *simClient) take(e client.GroupEvent) {
	switch e := e.(type) {
	case client.Assigned:
		for _, p := range e.Partitions {
			c.w.check.assigned(c, p)
			c.holds[client.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = &holding{next: p.Offset, worked: p.Offset}
		}
	case client.Revoked:
		for _, name := range e.Partitions {
			c.holds[name].revoking = true
		}
		if c.stubborn {
			return
		}
		slow := c.w.between(0, 200*time.Millisecond)
		if c.w.rng.IntN(5) == 0 {
			slow = c.w.between(0, 20*time.Second)
		}
		c.then(slow, func() { c.release(e.Partitions) })
	case client.Lost:
		for _, name := range e.Partitions {
			must(c.holds[name] != nil, "%s: %v is lost, which the client does not know", c.name, name)
			c.free(name)
		}
	case *client.PartitionError:
		c.w.check.fail("%s: %v", c.name, e)
	}
}

func (c *simClient) free(name client.TopicPartition) {
	delete(c.holds, name)
	c.w.check.freed(c, name)
}

// release commits a last time and gives partitions back when that has been answered.
func (c *simClient) release(list []client.TopicPartition) {
	var last []client.GroupOffset
	for _, name := range list {
		if h := c.holds[name]; h != nil && h.revoking {
			last = append(last, client.GroupOffset{TopicPartition: name, Offset: h.worked})
		}
	}
	if len(last) > 0 {
		c.commit(last)
	}
	c.then(c.w.between(0, 300*time.Millisecond), func() {
		var mine []client.TopicPartition
		for _, o := range last {
			if h := c.holds[o.TopicPartition]; h != nil && h.revoking {
				mine = append(mine, o.TopicPartition)
				c.free(o.TopicPartition)
			}
		}
		c.step(Release{mine})
	})
}

func (c *simClient) commit(o []client.GroupOffset) {
	c.id++
	c.commits[c.id] = o
	c.step(Commit{c.id, o})
}

func (c *simClient) done(d Committed) {
	o, open := c.commits[d.ID]
	must(open, "%s: commit %d is answered twice", c.name, d.ID)
	delete(c.commits, d.ID)
	for i := range o {
		if d.Errs[i] == nil && c.w.positions[o[i].TopicPartition] < o[i].Offset {
			c.w.check.fail("%s was told that %v is committed at %d, the log has %d", c.name, o[i].TopicPartition, o[i].Offset,
				c.w.positions[o[i].TopicPartition])
		}
	}
}

// records works a delivery off, commits, and pays it back.
func (c *simClient) records(d Delivery) {
	name := nameOf(d.Partition)
	h := c.holds[name]
	bytes := c.w.check.delivered(c, h, d)
	h.next = d.Next
	c.owed += bytes
	if most := c.cfg.Credit + batchBytes; c.owed > most {
		c.w.check.fail("%s has %d bytes, %d may be", c.name, c.owed, most)
	}
	if c.lazy && c.w.rng.IntN(3) > 0 {
		c.then(c.w.between(0, 30*time.Second), func() { c.pay(bytes) })
	} else {
		c.then(c.w.between(0, 400*time.Millisecond), func() { c.pay(bytes) })
	}
	c.then(c.w.between(0, 300*time.Millisecond), func() {
		if c.holds[name] != h || h.revoking {
			return
		}
		h.worked = max(h.worked, d.Next)
		if c.w.rng.IntN(2) == 0 {
			c.commit([]client.GroupOffset{{TopicPartition: name, Offset: h.worked}})
		}
	})
}

func (c *simClient) pay(bytes int) {
	c.owed -= bytes
	c.step(Credit{bytes})
}

// die ends the process without a word.
func (c *simClient) die() {
	c.gone = true
	c.w.check.forget(c)
}

// close ends the membership as a client does that is done.
func (c *simClient) close() {
	c.then(0, func() {
		c.w.check.forget(c)
		c.step(Close{Static: c.w.rng.IntN(2) == 0, Err: fault.New(fault.Closing, "closed")})
		c.then(leaveTime+askTime, func() {
			if c.ended == nil {
				c.w.check.fail("%s does not end", c.name)
			}
		})
	})
}

func sortedNames(m map[client.TopicPartition]*holding) []client.TopicPartition {
	var out []client.TopicPartition
	for name := range m {
		out = append(out, name)
	}
	sortNames(out)
	return slices.Clip(out)
}
