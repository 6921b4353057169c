package member

import (
	"maps"
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

// State is where the member is in its group.
type State uint8

// The states.
const (
	// Joining waits for the next generation to begin, or for the time to ask again.
	Joining State = iota
	// Syncing waits for its assignment; the leader makes those of all.
	Syncing
	// Steady has its assignment.
	Steady
	// Leaving ends its last commits and takes its leave.
	Leaving
	// Over is no member.
	Over
)

// Times of a member.
const (
	leastBackoff = 50 * time.Millisecond
	mostBackoff  = 2 * time.Second
	askTime      = 10 * time.Second // of a question that nobody waits in for others
	refreshEvery = time.Second      // how often the leader looks at the topics
	leaveTime    = 5 * time.Second
	mostBeat     = time.Second
)

// Core is one membership. It is a pure state machine and not safe for concurrent use.
type Core struct {
	cfg   Config
	state State
	now   time.Time

	id         string
	generation int32
	backoff    time.Duration
	joinAt     time.Time // when to ask again; zero while an ask is under way
	round      uint64    // the Join, Sync or LookUp that is under way
	heard      time.Time // when that was sent which the coordinator answered last
	beatAt     time.Time
	beating    uint64 // the Heartbeat that is under way, 0 without one

	leader    bool
	topics    []string                // that the group reads; of the leader
	shapes    map[string]assign.Shape // as the assignments have them; of the leader
	refreshAt time.Time

	held     map[client.TopicPartition]*part
	assigned []assign.Partition // by the newest assignment, ascending
	claimed  []assign.Partition // in the newest Join
	epoch    uint64

	credit  int
	fetch   *fetching
	fetchAt time.Time
	rotate  int

	queue    []*commit
	sending  []*commit
	commitAt time.Time

	leaveBy time.Time
	leaving bool // the Leave is under way
	stays   bool // a static member that keeps its place
	end     error

	token uint64
	asks  map[uint64]func(any, error)
	eff   Effects
}

// New makes a member that has not joined yet: the first Step does.
func New(cfg Config, now time.Time) *Core {
	return &Core{
		cfg: cfg, now: now, generation: group.NoGeneration, heard: now, joinAt: now, credit: cfg.Credit,
		held: map[client.TopicPartition]*part{}, asks: map[uint64]func(any, error){},
	}
}

// Step takes one input and says what must happen. It does no I/O and reads no clock; now must not go back.
func (c *Core) Step(now time.Time, in Input) Effects {
	c.now = now
	if a, answered := in.(Answered); !answered || a.Token != c.beating {
		c.checkLease() // after a pause, before anything is done in the name of what is lost
	}
	switch in := in.(type) {
	case Answered:
		c.onAnswered(in)
	case Commit:
		c.onCommit(in)
	case Release:
		c.onRelease(in)
	case Pause:
		c.each(in.Partitions, func(p *part) { p.paused = true })
	case Resume:
		c.each(in.Partitions, func(p *part) { p.paused, p.failed, p.retryAt = false, false, time.Time{} })
	case Seek:
		c.onSeek(in)
	case Credit:
		c.credit += in.Bytes
	case Close:
		c.onClose(in)
	case Tick:
	default:
		must(false, "unknown input %T", in)
	}
	if c.state != Over {
		c.expire()
		c.pump()
	}
	eff := c.eff
	c.eff = Effects{}
	eff.Wake = c.wake()
	return eff
}

// State tells where the member is, for a description.
func (c *Core) State() State { return c.state }

// ask puts a question; then runs in the Step that brings the answer, unless it was forgotten meanwhile.
func (c *Core) ask(what any, within time.Duration, then func(any, error)) uint64 {
	c.token++
	c.asks[c.token] = then
	a := Ask{Token: c.token, What: what}
	if within > 0 {
		a.Deadline = c.now.Add(within)
	}
	c.eff.Ask = append(c.eff.Ask, a)
	return c.token
}

func (c *Core) onAnswered(in Answered) {
	if then, ok := c.asks[in.Token]; ok {
		delete(c.asks, in.Token)
		then(in.Answer, in.Err)
	}
}

// abandon forgets the Join, Sync or LookUp that is under way.
func (c *Core) abandon() {
	if _, open := c.asks[c.round]; open {
		delete(c.asks, c.round)
		c.eff.Cancel = append(c.eff.Cancel, c.round)
	}
}

func (c *Core) tell(e client.GroupEvent) { c.eff.Tell = append(c.eff.Tell, Tell{Event: e}) }

// each runs f for those of the partitions that are held and known to the client.
func (c *Core) each(list []client.TopicPartition, f func(*part)) {
	for _, name := range list {
		if p := c.held[name]; p != nil && p.told {
			f(p)
		}
	}
}

// sorted returns what is held, in order.
func (c *Core) sorted() []*part {
	return slices.SortedFunc(maps.Values(c.held), func(a, b *part) int { return assign.Compare(a.Partition, b.Partition) })
}

// expire acts on the deadlines that have passed.
func (c *Core) expire() {
	c.checkLease()
	if c.state == Leaving {
		c.leave()
		return
	}
	c.expireRevoked()
	if c.state == Joining && !c.joinAt.IsZero() && !c.now.Before(c.joinAt) {
		c.join()
	}
	if c.state == Over {
		return
	}
	c.rejoin()
	c.beat()
	c.refresh()
	c.locate()
}

// pump lets go out what may.
func (c *Core) pump() {
	c.sendCommits()
	if c.state != Leaving && c.state != Over {
		c.read()
	}
}

// wake is the next deadline.
func (c *Core) wake() (at time.Time) {
	due := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	switch c.state {
	case Over:
		return at
	case Leaving:
		due(c.leaveBy)
		return at
	case Joining:
		due(c.joinAt)
	case Steady:
		if c.leader {
			due(c.refreshAt)
		}
	}
	if c.beats() && c.beating == 0 {
		due(c.beatAt)
	}
	if len(c.held) > 0 {
		due(c.heard.Add(c.lease()))
	}
	for _, p := range c.held {
		if p.revoking {
			due(p.deadline)
		} else if p.retryAt.After(c.now) {
			due(p.retryAt)
		}
	}
	if c.fetchAt.After(c.now) {
		due(c.fetchAt)
	}
	if len(c.queue) > 0 && c.commitAt.After(c.now) {
		due(c.commitAt)
	}
	for _, q := range c.queue {
		due(q.deadline)
	}
	return at
}

// finish ends the membership.
func (c *Core) finish(err error) {
	c.abandon()
	c.stopReading()
	c.state, c.eff.End = Over, err
	for _, q := range append(c.sending, c.queue...) {
		q.refuse(err)
		c.eff.Done = append(c.eff.Done, Committed{q.id, q.errs})
	}
	c.sending, c.queue = nil, nil
	clear(c.asks)
}

// fail ends the membership with a refusal that does not pass.
func (c *Core) fail(err error) {
	c.lose(err)
	c.finish(err)
}

func (c *Core) onClose(in Close) {
	if c.state == Leaving || c.state == Over {
		return
	}
	c.abandon()
	c.stopReading()
	c.state, c.end, c.leaveBy = Leaving, in.Err, c.now.Add(leaveTime)
	c.stays = c.cfg.Instance != "" && !in.Static
}

// leave takes the leave once the last commits have ended.
func (c *Core) leave() {
	switch {
	case !c.now.Before(c.leaveBy):
	case len(c.queue)+len(c.sending) > 0 && c.id != "":
		return
	case c.leaving:
		return
	case c.stays || c.id == "":
	default:
		c.leaving = true
		in := group.Leave{Members: []group.Identity{c.who()}, Reason: "the client closed its subscription"}
		c.ask(in, leaveTime, func(any, error) { c.finish(c.end) })
		return
	}
	c.finish(c.end)
}

func (c *Core) who() group.Identity { return group.Identity{ID: c.id, Instance: c.cfg.Instance} }

// nextBackoff grows with each call until something succeeds.
func (c *Core) nextBackoff(last time.Duration) time.Duration {
	return min(max(2*last, leastBackoff), mostBackoff)
}

// spread is a random time from d/2 to d.
func (c *Core) spread(d time.Duration) time.Duration {
	return d/2 + time.Duration(c.cfg.Rand.Int64N(int64(d/2)+1))
}

// retriable reports whether the coordinator may answer otherwise in a moment.
func retriable(err error) bool {
	switch fault.CodeOf(err) {
	case fault.RebalanceInProgress, fault.IllegalGeneration:
		return true
	}
	return fault.CodeOf(err).Retryable()
}
