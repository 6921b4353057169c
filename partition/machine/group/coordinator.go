package group

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// State is where a group is in its course. The names are those of Kafka's tools.
type State uint8

// The states.
const (
	// Empty has no members: it is new, or keeps positions only.
	Empty State = iota
	// Preparing collects the members of the next generation.
	Preparing
	// Completing waits for the leader's assignments, and for the log to have them.
	Completing
	// Stable has members that own what they were assigned.
	Stable
	// Dead is a group that does not exist.
	Dead
)

// String returns the name that Kafka's tools show.
func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}[s]
}

// Settings are what all groups of a member obey.
type Settings struct {
	// InitialDelay is how long the first members of an empty group wait for others, so that a fleet that
	// starts together rebalances once. Each one that comes begins it anew, up to the rebalance timeout.
	InitialDelay time.Duration
	// MinSession and MaxSession bound the session timeout that a member may ask for.
	MinSession, MaxSession time.Duration
	// MaxMembers is how many members a group may have, those included that were only given an id.
	MaxMembers int
	// MaxBytes is how many bytes of names, subscriptions and assignments a group may hold: each generation is a row.
	MaxBytes int
	// Retention is how long a position is kept that nobody uses.
	Retention time.Duration
}

// DefaultSettings returns Kafka's defaults where it has one, but no initial delay.
func DefaultSettings() Settings {
	return Settings{
		MinSession: 6 * time.Second, MaxSession: 30 * time.Minute,
		MaxMembers: 5000, MaxBytes: 2 << 20,
		Retention: 7 * 24 * time.Hour,
	}
}

// Effects is what must happen because of one Step. The Appends of all Steps go to the log in their order.
type Effects struct {
	Replies []Reply
	Appends []Append
	Wake    time.Time // give Tick at this time; zero: never
	Journal []Entry   // what was noted, for a log
	Idle    bool      // nothing is held that is not in the log
	Stop    error     // not nil: somebody else decides for this group; answer nobody any more
}

// Reply answers one request. Answer is of the type that the request names, nil with an error except where
// said.
type Reply struct {
	Req    ReqID
	Answer any
	Err    error
}

// Append is a frame for the log of the group's partition. Its end comes back as Appended with the token.
type Append struct {
	Token uint64
	Frame []byte
}

// Coordinator decides for one group: who its members are, which generation they form, and whose commits
// count. It is a pure state machine and not safe for concurrent use: one actor owns it.
type Coordinator struct {
	name string
	set  Settings
	id   func() string // a new unique member id suffix

	state        State
	generation   int32
	protocolType string
	protocol     string
	leader       string
	since        time.Time // when the group became empty
	stored       bool      // its metadata is in the log
	deleting     bool      // it is on its way out of there
	forgetting   int       // deletions on their way
	tasks        bool      // tasks of an application commit under this name

	members []*member // in the order in which they came
	byID    map[string]*member
	static  map[string]*member
	pending map[string]time.Time // ids that were given and not used yet, and until when they may be
	bytes   int                  // of names, subscriptions and assignments
	joinBy  time.Time            // end of Preparing at the latest
	first   firstDelay
	syncBy  time.Time               // whoever has not synced then is out
	storing uint64                  // token of the generation that is on its way into the log
	offers  map[string][]byte       // the leader's assignments on that way
	rows    map[TopicPartition]kept // what is in the log, or on its way there
	appends map[uint64]func(error)
	token   uint64
	journal journal
	now     time.Time
	wakeAt  time.Time // no deadline is earlier; zero where there is none
	eff     Effects
}

// firstDelay is the delay of the first rebalance of an empty group.
type firstDelay struct {
	running bool
	until   time.Time // each newcomer moves it
	grown   bool
}

// kept is a position as the coordinator knows it: when it was committed, and whether it belongs to a task.
type kept struct {
	timeMs int64
	fenced bool
}

// NewCoordinator makes the coordinator of a group from what the log knows. Each stored member gets one full
// session from now. id returns what makes a member id unique; it is called in Step.
func NewCoordinator(name string, set Settings, s Stored, now time.Time, id func() string) *Coordinator {
	g := &Coordinator{
		name: name, set: set, id: id, now: now, since: now,
		byID: map[string]*member{}, static: map[string]*member{}, pending: map[string]time.Time{},
		rows: map[TopicPartition]kept{}, appends: map[uint64]func(error){},
	}
	for _, p := range s.Positions {
		g.rows[p.TopicPartition] = kept{p.TimeMs, p.Fenced}
		g.tasks = g.tasks || p.Fenced
	}
	if s.Metadata != nil {
		g.load(s.Metadata)
	}
	return g
}

func (g *Coordinator) load(m *Metadata) {
	g.stored = true
	g.generation, g.protocolType = m.Generation, m.ProtocolType
	if m.SinceMs >= 0 {
		g.since = time.UnixMilli(m.SinceMs)
	}
	if len(m.Members) == 0 {
		return
	}
	g.state, g.protocol, g.leader = Stable, m.Protocol, m.Leader
	for i := range m.Members {
		p := &m.Members[i]
		g.add(&member{
			Identity: Identity{p.ID, p.Instance}, clientID: p.ClientID, clientHost: p.ClientHost,
			session: p.Session, rebalance: p.Rebalance,
			protocols: []Protocol{{m.Protocol, p.Subscription}}, assignment: p.Assignment, synced: true,
		})
		g.touch(g.members[i])
	}
	g.note("", "coordinator started with %d members of generation %d", len(g.members), g.generation)
}

// Step takes one input and says what must happen. It does no I/O and reads no clock; now must not go back.
// Byte slices in the input belong to the coordinator from then on.
func (g *Coordinator) Step(now time.Time, in Input) Effects {
	g.now = now
	if !g.wakeAt.IsZero() && !now.Before(g.wakeAt) {
		g.forgive(now.Sub(g.wakeAt))
		g.expire()
	}
	switch in := in.(type) {
	case Join:
		g.onJoin(in)
	case Sync:
		g.onSync(in)
	case Heartbeat:
		g.onHeartbeat(in)
	case Leave:
		g.onLeave(in)
	case CommitOffsets:
		g.onCommit(in)
	case DeleteOffsets:
		g.onDeleteOffsets(in)
	case Delete:
		g.onDelete(in)
	case Describe:
		g.reply(in.Req, g.describe())
	case ForgetTopics:
		g.onForgetTopics(in)
	case Expire:
		g.onExpire()
	case Appended:
		g.onAppended(in)
	case Tick:
	default:
		must(false, "unknown input %T", in)
	}
	eff := g.eff
	g.eff = Effects{}
	eff.Wake = g.wakeAt
	eff.Idle = len(g.members)+len(g.pending)+len(g.appends) == 0
	return eff
}

func (g *Coordinator) reply(req ReqID, answer any) {
	g.eff.Replies = append(g.eff.Replies, Reply{Req: req, Answer: answer})
}

func (g *Coordinator) refuse(req ReqID, err error) {
	g.eff.Replies = append(g.eff.Replies, Reply{Req: req, Err: err})
}

// append puts a frame on its way; then runs when it has ended.
func (g *Coordinator) append(frame []byte, then func(error)) uint64 {
	g.token++
	g.appends[g.token] = then
	g.eff.Appends = append(g.eff.Appends, Append{g.token, frame})
	return g.token
}

// onAppended hands the end of an append to who waits for it. An append that was refused because another term
// has begun says that this coordinator is over.
func (g *Coordinator) onAppended(in Appended) {
	then, ok := g.appends[in.Token]
	if !ok {
		return
	}
	delete(g.appends, in.Token)
	switch fault.CodeOf(in.Err) {
	case fault.FencedLeaderEpoch, fault.UnknownLeaderEpoch, fault.NotLeader, fault.LeaderNotAvailable, fault.Closing:
		g.eff.Stop = fault.New(fault.NotCoordinator, "coordinate group %q: %w", g.name, in.Err).
			WithHint("find the coordinator again")
	default:
		then(in.Err)
	}
}

// exists reports whether anything is known of the group.
func (g *Coordinator) exists() bool {
	return g.stored || g.forgetting > 0 || len(g.members)+len(g.pending)+len(g.rows) > 0
}

// due notes a deadline.
func (g *Coordinator) due(at time.Time) {
	if !at.IsZero() && (g.wakeAt.IsZero() || at.Before(g.wakeAt)) {
		g.wakeAt = at
	}
}

// note writes a line into the journal.
func (g *Coordinator) note(member, format string, args ...any) {
	e := cut(Entry{At: g.now, Generation: g.generation, Member: member, What: fmt.Sprintf(format, args...)})
	g.journal.add(e)
	if len(g.eff.Journal) < journalEntries { // a thousand that are expelled at once are one event
		g.eff.Journal = append(g.eff.Journal, e)
	}
}

func (g *Coordinator) notFound() error {
	return fault.New(fault.GroupIDNotFound, "group %q does not exist", g.name).
		WithHint("check the name with a group listing")
}
