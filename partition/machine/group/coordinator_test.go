package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// desk drives one coordinator by hand, on a log that takes everything at once unless it is told to fail.
type desk struct {
	t       *testing.T
	now     time.Time
	set     Settings
	machine *Machine
	g       *Coordinator
	req     ReqID
	replies map[ReqID]Reply
	failing error // of appends
	hold    bool  // appends do not end
	held    []Append
	ids     int
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, now: time.Unix(1_700_000_000, 0), machine: New(), set: DefaultSettings()}
	d.start()
	return d
}

// start makes a coordinator of what the log has.
func (d *desk) start() *desk {
	d.replies, d.held = map[ReqID]Reply{}, nil
	d.g = NewCoordinator("g", d.set, d.machine.Query(Load{"g"}).(Stored), d.now, func() string {
		d.ids++
		return fmt.Sprint(d.ids)
	})
	return d
}

func (d *desk) step(in Input) Effects {
	e := d.g.Step(d.now, in)
	for _, r := range e.Replies {
		if _, twice := d.replies[r.Req]; twice {
			d.t.Fatalf("request %d is answered twice", r.Req)
		}
		d.replies[r.Req] = r
	}
	d.held = append(d.held, e.Appends...)
	if !d.hold {
		for len(d.held) > 0 {
			a := d.held[0]
			d.held = d.held[1:]
			d.step(Appended{a.Token, d.land(a)})
		}
	}
	return e
}

// land puts an append into the log.
func (d *desk) land(a Append) error {
	if d.failing != nil {
		return d.failing
	}
	e := state.Entry{Index: 1, Type: state.EntryRecords, Frame: a.Frame}
	must(d.machine.Admit(e.Type, e.Payload()) == nil && d.machine.Apply(e) == nil, "land")
	return nil
}

// send gives a request and returns its number.
func (d *desk) send(in Request) ReqID {
	d.req++
	d.step(in.Numbered(d.req))
	return d.req
}

// answer is the reply to a request, which must be there.
func (d *desk) answer(r ReqID) Reply {
	d.t.Helper()
	reply, ok := d.replies[r]
	if !ok {
		d.t.Fatalf("request %d is not answered", r)
	}
	return reply
}

func (d *desk) ask(in Request) Reply { d.t.Helper(); return d.answer(d.send(in)) }

// want sends a request and checks the code of its refusal.
func (d *desk) want(code fault.Code, in Request) Reply {
	d.t.Helper()
	r := d.ask(in)
	if fault.CodeOf(r.Err) != code {
		d.t.Fatalf("%T: %v, want %s", in, r.Err, code)
	}
	return r
}

// pass lets time go by, with a Tick whenever it was asked for.
func (d *desk) pass(span time.Duration) {
	end := d.now.Add(span)
	for {
		wake := d.step(Tick{}).Wake
		if wake.IsZero() || wake.After(end) {
			break
		}
		if !wake.After(d.now) {
			d.t.Fatalf("asked to wake at %s, it is %s", wake, d.now)
		}
		d.now = wake
	}
	d.now = end
	d.step(Tick{})
}

// joining makes a Join of a member that knows some protocols.
func joining(id string, protocols ...string) Join {
	j := Join{
		Who: Identity{ID: id}, ClientID: "client", ClientHost: "/host", SessionMs: 10_000, RebalanceMs: 20_000,
		ProtocolType: "consumer", CanSkip: true,
	}
	if protocols == nil {
		protocols = []string{"range"}
	}
	for _, p := range protocols {
		j.Protocols = append(j.Protocols, Protocol{p, subscriptionTo("t")})
	}
	return j
}

func static(instance, id string) Join {
	j := joining(id)
	j.Who.Instance = instance
	return j
}

// subscriptionTo encodes a subscription of version 0.
func subscriptionTo(topics ...string) []byte {
	b := []byte{0, 0, 0, 0, 0, byte(len(topics))}
	for _, t := range topics {
		b = appendString(b, t)
	}
	return append(b, 0xff, 0xff, 0xff, 0xff)
}

// form makes a stable group of n dynamic members and returns how they joined; the first is the leader.
func (d *desk) form(n int) []Joined {
	d.t.Helper()
	ids := make([]string, n)
	for i := range ids { // each newcomer makes those before join again
		reqs := []ReqID{d.send(joining(""))}
		for _, id := range ids[:i] {
			reqs = append(reqs, d.send(joining(id)))
		}
		ids[i] = d.answer(reqs[0]).Answer.(Joined).Member
	}
	var all []Joined
	for _, id := range ids {
		all = append(all, d.joinedAs(id))
	}
	d.sync(all)
	return all
}

// joinedAs is the newest answer to a Join of a member.
func (d *desk) joinedAs(id string) Joined {
	d.t.Helper()
	for r := d.req; r > 0; r-- {
		if a, ok := d.replies[r].Answer.(Joined); ok && a.Member == id && d.replies[r].Err == nil {
			return a
		}
	}
	d.t.Fatalf("member %q has not joined", id)
	return Joined{}
}

func (d *desk) sync(all []Joined) {
	d.t.Helper()
	var reqs []ReqID
	for _, a := range all {
		s := Sync{Who: Identity{ID: a.Member}, Generation: a.Generation}
		if a.Leader == a.Member {
			for _, o := range all {
				s.Assignments = append(s.Assignments, Assignment{o.Member, []byte("for " + o.Member)})
			}
		}
		reqs = append(reqs, d.send(s))
	}
	for i, r := range reqs {
		a := d.answer(r)
		if a.Err != nil || string(a.Answer.(Synced).Assignment) != "for "+all[i].Member {
			d.t.Fatalf("member %q got %+v", all[i].Member, a)
		}
	}
}

func beat(a Joined) Heartbeat {
	return Heartbeat{Who: Identity{ID: a.Member}, Generation: a.Generation}
}

func committing(a Joined, offset int64) CommitOffsets {
	return CommitOffsets{Who: Identity{ID: a.Member}, Generation: a.Generation, Positions: []Position{
		{TopicPartition: TopicPartition{"t", 0}, Offset: 7, LeaderEpoch: -1, Metadata: fmt.Sprint(offset)},
	}}
}

// Goal: who is not what it says it is, or is late, is refused with the code that tells clients what to do.
// Method: requests of strangers and of an older generation to a stable group, and in each state.
func TestRefusals(t *testing.T) {
	d := newDesk(t)
	d.want(fault.UnknownMember, Heartbeat{Who: Identity{ID: "x"}})
	d.want(fault.IllegalGeneration, CommitOffsets{Who: Identity{ID: "x"}, Generation: 3})
	d.want(fault.UnknownMember, joining("x"))
	all := d.form(2)
	a := all[0]
	old := a
	old.Generation--
	stranger := Joined{Member: "x", Generation: a.Generation}
	d.want(fault.None, beat(a))
	d.want(fault.IllegalGeneration, beat(old))
	d.want(fault.UnknownMember, beat(stranger))
	d.want(fault.None, committing(a, 1))
	d.want(fault.IllegalGeneration, committing(old, 1))
	d.want(fault.UnknownMember, committing(stranger, 1))
	d.want(fault.UnknownMember, CommitOffsets{Generation: NoGeneration, Positions: committing(a, 1).Positions})
	d.want(fault.IllegalGeneration, Sync{Who: Identity{ID: a.Member}, Generation: old.Generation})
	d.want(fault.InconsistentGroupProtocol, Sync{Who: Identity{ID: a.Member}, Generation: a.Generation, Protocol: "other"})
	d.want(fault.InconsistentGroupProtocol, joining("", "other"))
	other := joining("")
	other.ProtocolType = "connect"
	d.want(fault.InconsistentGroupProtocol, other)
	d.want(fault.NonEmptyGroup, Delete{})
	d.send(joining(""))
	d.want(fault.RebalanceInProgress, beat(a))
	d.want(fault.RebalanceInProgress, Sync{Who: Identity{ID: a.Member}, Generation: a.Generation})
	d.want(fault.None, committing(a, 1)) // it may still commit what it has read
	for _, m := range all {
		d.send(joining(m.Member))
	}
	a.Generation++
	d.want(fault.None, beat(a))
	d.want(fault.RebalanceInProgress, committing(a, 1))
}

// Goal: what a member may ask for is bounded. Method: Joins outside each bound.
func TestJoinBounds(t *testing.T) {
	d := newDesk(t)
	short, long, none, many, twice := joining(""), joining(""), joining(""), joining(""), joining("", "a", "a")
	short.SessionMs, long.SessionMs = 5_999, 30*60_000+1
	none.Protocols = nil
	many.Protocols = slices.Repeat(many.Protocols, 65)
	d.want(fault.InvalidSessionTimeout, short)
	d.want(fault.InvalidSessionTimeout, long)
	for _, j := range []Join{none, many, twice, joining("", "")} {
		d.want(fault.InconsistentGroupProtocol, j)
	}
	d.set.MaxMembers, d.set.MaxBytes = 2, 1000
	d.start()
	d.form(2)
	d.want(fault.GroupMaxSizeReached, joining(""))
	d.set.MaxMembers = 10
	d.start().pass(time.Minute)
	big := joining("")
	big.Protocols[0].Metadata = make([]byte, 1001)
	d.want(fault.GroupMaxSizeReached, big)
	wordy := joining("")
	wordy.ClientHost = strings.Repeat("h", 1000) // names are in each row too
	d.want(fault.GroupMaxSizeReached, wordy)
	a := d.want(fault.None, joining("")).Answer.(Joined)
	d.want(fault.RecordTooLarge, Sync{Who: Identity{ID: a.Member}, Generation: a.Generation, Assignments: []Assignment{
		{a.Member, make([]byte, 1000)},
	}})
	d.start().pass(time.Minute)
	wordy.ClientHost, wordy.ClientID = "", strings.Repeat("c", 30_000)
	a = d.want(fault.None, wordy).Answer.(Joined)
	if s := d.g.Summary(); len(a.Member) > 400 || s.Bytes > memberBytes+1000 {
		t.Errorf("member id of %d bytes, %+v", len(a.Member), s)
	}
}

// Goal: a new dynamic member of a newer client is told its id first, and does not count before it comes with
// it; a static one joins at once. Method: KnownID.
func TestMemberIDRequired(t *testing.T) {
	d := newDesk(t)
	j := joining("")
	j.KnownID = true
	r := d.want(fault.MemberIDRequired, j)
	id := r.Answer.(Joined).Member
	if !strings.HasPrefix(id, "client-") || d.g.Summary().Members != 0 {
		t.Fatalf("id %q, %+v", id, d.g.Summary())
	}
	j.Who.ID = id
	if a := d.want(fault.None, j).Answer.(Joined); a.Leader != id || a.Generation != 1 || len(a.Members) != 1 {
		t.Errorf("%+v", a)
	}
	lost := joining("")
	lost.KnownID = true
	lost.Who.ID = d.want(fault.MemberIDRequired, lost).Answer.(Joined).Member
	d.pass(11 * time.Second) // it comes too late
	d.want(fault.UnknownMember, lost)
	s := static("one", "")
	s.KnownID = true
	if a := d.want(fault.None, s).Answer.(Joined); !strings.HasPrefix(a.Member, "one-") {
		t.Errorf("%+v", a)
	}
}

// Goal: the protocol is the one that most members prefer of those that all know. Method: votes.
func TestVote(t *testing.T) {
	for _, c := range []struct {
		want  string
		lists []string
	}{
		{"a", []string{"a b"}}, {"b", []string{"a b", "b"}}, {"b", []string{"a b", "b a", "b a"}},
		{"a", []string{"a b", "b a"}}, {"c", []string{"a c", "b c"}}, {"c", []string{"a b c", "b a c", "c"}},
	} {
		d := newDesk(t)
		for i, l := range c.lists {
			d.g.add(&member{Identity: Identity{ID: fmt.Sprint(i)}, protocols: joining("", strings.Fields(l)...).Protocols})
		}
		if got := d.g.vote(); got != c.want {
			t.Errorf("%v: %s", c.lists, got)
		}
	}
}

// Goal: the silent are expelled when their session ends, not before, and the others go on. Method: one of two
// members stops its heartbeats.
func TestSessionTimeout(t *testing.T) {
	d := newDesk(t)
	all := d.form(2)
	for range 3 {
		d.pass(3 * time.Second)
		d.want(fault.None, beat(all[0]))
	}
	d.pass(999 * time.Millisecond)
	d.want(fault.None, beat(all[0]))
	d.pass(time.Millisecond)
	d.want(fault.RebalanceInProgress, beat(all[0]))
	d.want(fault.UnknownMember, beat(all[1]))
	if a := d.want(fault.None, joining(all[0].Member)).Answer.(Joined); a.Generation != all[0].Generation+1 || len(a.Members) != 1 {
		t.Errorf("%+v", a)
	}
	journal := d.ask(Describe{}).Answer.(Description).Journal
	if !slices.ContainsFunc(journal, func(e Entry) bool {
		return e.Member == all[1].Member && strings.Contains(e.What, "silent for its session of 10s")
	}) {
		t.Errorf("%+v", journal)
	}
}

// Goal: nobody waits for ever: those who do not join, or do not ask for their assignment, are left out when
// the rebalance timeout ends. Method: a member that keeps its heartbeats but does nothing else.
func TestRebalanceTimeouts(t *testing.T) {
	d := newDesk(t)
	all := d.form(2)
	waiting := d.send(joining(""))
	d.send(joining(all[0].Member))
	for range 4 {
		d.pass(4 * time.Second)
		d.want(fault.RebalanceInProgress, beat(all[1]))
	}
	d.pass(4 * time.Second)
	joined := d.answer(waiting).Answer.(Joined)
	d.want(fault.UnknownMember, beat(all[1]))
	leader := d.joinedAs(all[0].Member)
	follower := d.send(Sync{Who: Identity{ID: joined.Member}, Generation: joined.Generation})
	for range 5 { // the leader is alive and never makes assignments
		d.pass(4 * time.Second)
		d.ask(beat(leader))
	}
	if r := d.answer(follower); fault.CodeOf(r.Err) != fault.RebalanceInProgress {
		t.Errorf("the follower waits for the leader: %+v", r)
	}
	d.want(fault.UnknownMember, beat(leader))
}

// Goal: the first rebalance of an empty group waits for those who start together, each newcomer prolonging
// it, up to the rebalance timeout. Method: members every two seconds.
func TestInitialDelay(t *testing.T) {
	d := newDesk(t)
	d.set.InitialDelay = 3 * time.Second
	d.start()
	first := d.send(joining(""))
	d.pass(3*time.Second - 1)
	if _, early := d.replies[first]; early {
		t.Fatal("answered before the delay")
	}
	second := d.send(joining(""))
	d.pass(1)
	if _, early := d.replies[first]; early {
		t.Fatal("the newcomer did not prolong the delay")
	}
	d.pass(3 * time.Second)
	a, b := d.answer(first).Answer.(Joined), d.answer(second).Answer.(Joined)
	if a.Generation != 1 || b.Generation != 1 || len(a.Members) != 2 || len(b.Members) != 0 {
		t.Errorf("%+v %+v", a, b)
	}
	d = newDesk(t)
	d.set.InitialDelay = 3 * time.Second
	d.start()
	first = d.send(joining(""))
	for range 10 {
		d.pass(2 * time.Second)
		d.send(joining(""))
	}
	d.pass(0)
	if a := d.answer(first).Answer.(Joined); len(a.Members) < 10 {
		t.Errorf("after the rebalance timeout: %+v", a)
	}
}
