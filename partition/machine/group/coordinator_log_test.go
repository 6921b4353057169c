package group

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: a static member that starts again keeps its place: no rebalance, its assignment is there, and whoever
// runs under its old id is fenced. Method: join again with the instance and no id, as leader and as follower,
// with and without the skip of version 9.
func TestStaticRestart(t *testing.T) {
	for _, c := range []struct {
		leader, skips bool
	}{{true, true}, {true, false}, {false, true}, {false, false}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			d := newDesk(t)
			reqs := []ReqID{d.send(static("one", "")), 0}
			reqs[1] = d.send(static("two", ""))
			first := d.answer(reqs[0]).Answer.(Joined)
			d.send(static("one", first.Member))
			all := []Joined{d.joinedAs(first.Member), d.answer(reqs[1]).Answer.(Joined)}
			for i, instance := range []string{"one", "two"} {
				s := Sync{Who: Identity{all[i].Member, instance}, Generation: all[i].Generation}
				for _, m := range all {
					s.Assignments = append(s.Assignments, Assignment{m.Member, []byte("part of " + m.Member)})
				}
				d.send(s)
			}
			old, instance := all[1], "two"
			if c.leader {
				old, instance = all[0], "one"
			}
			again := static(instance, "")
			again.CanSkip = c.skips
			a := d.want(fault.None, again).Answer.(Joined)
			if a.Generation != old.Generation || a.Member == old.Member || a.SkipAssignment != (c.leader && c.skips) {
				t.Fatalf("%+v", a)
			}
			if takesItself := a.Leader == a.Member; takesItself != (c.leader && c.skips) {
				t.Errorf("leader %q for %q: nobody would wait for its assignments", a.Leader, a.Member)
			}
			d.want(fault.FencedInstanceID, Heartbeat{Who: Identity{old.Member, instance}, Generation: old.Generation})
			d.want(fault.FencedInstanceID, static(instance, old.Member))
			who := Identity{a.Member, instance}
			d.want(fault.None, Heartbeat{Who: who, Generation: a.Generation})
			d.start() // the new id is in the log
			r := d.want(fault.None, Sync{Who: who, Generation: a.Generation}).Answer.(Synced)
			if string(r.Assignment) != "part of "+old.Member {
				t.Errorf("assignment %q", r.Assignment)
			}
		})
	}
}

// Goal: the next coordinator goes on with the members of the log, each with a full session, at any time of a
// rebalance. Method: new coordinators on the same log.
func TestRestart(t *testing.T) {
	d := newDesk(t)
	all := d.form(3)
	d.start()
	before := d.ask(Describe{}).Answer.(Description)
	if before.State != Stable || len(before.Members) != 3 || before.Leader != all[0].Member || before.Members[1].ClientHost != "/host" {
		t.Fatalf("%+v", before)
	}
	d.pass(9 * time.Second)
	for _, a := range all {
		d.want(fault.None, beat(a))
		d.want(fault.None, committing(a, 1))
	}
	d.send(joining("")) // a rebalance that the next coordinator does not know of
	d.start()
	for _, a := range all {
		d.want(fault.None, beat(a))
	}
	d.pass(10 * time.Second)
	after := d.start().ask(Describe{}).Answer.(Description)
	if after.State != Empty || after.Generation != all[0].Generation+1 || after.Positions != 1 {
		t.Errorf("%+v", after)
	}
}

// Goal: nobody owns what the log does not have: assignments whose append failed are given to nobody, and the
// group rebalances. Method: fail the append; hold it while a member joins.
func TestAssignmentsAreStoredFirst(t *testing.T) {
	d := newDesk(t)
	a := d.want(fault.None, joining("")).Answer.(Joined)
	offer := func(a Joined) Sync {
		return Sync{Who: Identity{ID: a.Member}, Generation: a.Generation, Assignments: []Assignment{{a.Member, []byte("x")}}}
	}
	d.failing = fault.New(fault.DiskFull, "full")
	d.want(fault.CoordinatorNotAvailable, offer(a))
	d.failing = nil
	d.want(fault.RebalanceInProgress, beat(a))
	a = d.want(fault.None, joining(a.Member)).Answer.(Joined)
	d.hold = true
	syncing := d.send(offer(a))
	if _, early := d.replies[syncing]; early {
		t.Fatal("answered before the log has it")
	}
	d.send(joining(""))
	if r := d.answer(syncing); fault.CodeOf(r.Err) != fault.RebalanceInProgress {
		t.Errorf("%+v", r)
	}
	d.hold = false
	d.step(Tick{}) // the append ends now
	if s := d.g.Summary(); s.State != Preparing {
		t.Errorf("%+v", s)
	}
}

// Goal: a coordinator whose term is over decides nothing any more. Method: an append that is fenced.
func TestFencedCoordinatorStops(t *testing.T) {
	d := newDesk(t)
	a := d.want(fault.None, joining("")).Answer.(Joined)
	d.hold = true
	d.send(Sync{Who: Identity{ID: a.Member}, Generation: a.Generation})
	e := d.g.Step(d.now, Appended{d.held[0].Token, fault.New(fault.FencedLeaderEpoch, "term 2")})
	if fault.CodeOf(e.Stop) != fault.NotCoordinator || len(e.Replies) != 0 {
		t.Errorf("%+v", e)
	}
}

// Goal: a coordinator that was not there itself expels nobody for that time. Method: a Tick that comes a minute
// late; then one in time.
func TestPausedCoordinator(t *testing.T) {
	d := newDesk(t)
	all := d.form(2)
	d.now = d.now.Add(time.Minute)
	d.step(Tick{})
	d.want(fault.None, beat(all[0]))
	d.pass(9 * time.Second)
	d.want(fault.None, beat(all[0]))
	d.pass(2 * time.Second)
	d.want(fault.UnknownMember, beat(all[1]))
	d.want(fault.RebalanceInProgress, beat(all[0]))
}

// Goal: members leave by id, by instance, before they have joined, and several at a time, each with its own
// answer. Method: one Leave with all of them.
func TestLeave(t *testing.T) {
	d := newDesk(t)
	all := d.form(2)
	promised := joining("")
	promised.KnownID = true
	id := d.want(fault.MemberIDRequired, promised).Answer.(Joined).Member
	d.send(static("one", ""))
	left := d.ask(Leave{Reason: "tests", Members: []Identity{
		{ID: all[0].Member}, {ID: all[0].Member}, {ID: id}, {Instance: "one"}, {Instance: "two"}, {ID: "x", Instance: "one"},
	}}).Answer.(Left)
	want := []fault.Code{fault.None, fault.UnknownMember, fault.None, fault.None, fault.UnknownMember, fault.UnknownMember}
	for i, code := range want {
		if fault.CodeOf(left.Errs[i]) != code {
			t.Errorf("%d: %v, want %s", i, left.Errs[i], code)
		}
	}
	d.ask(Leave{Members: []Identity{{ID: all[1].Member}}})
	if s := d.g.Summary(); s.State != Empty || s.Members != 0 {
		t.Errorf("%+v", s)
	}
}

// Goal: positions of a group without members can be committed, forgotten and deleted by a tool, and of one
// with members only those that nobody reads. Method: commits without a generation; Delete; DeleteOffsets.
func TestToolsOnPositions(t *testing.T) {
	d := newDesk(t)
	tool := committing(Joined{Generation: NoGeneration}, 1)
	d.want(fault.None, tool)
	d.want(fault.GroupIDNotFound, (func() Request { d.machine = New(); d.start(); return Delete{} })())
	d.want(fault.GroupIDNotFound, DeleteOffsets{})
	d.want(fault.None, tool)
	all := d.form(1)
	other := committing(all[0], 1)
	other.Positions[0].Topic = "other"
	d.want(fault.None, other)
	forgot := d.want(fault.None, DeleteOffsets{Partitions: []TopicPartition{{"t", 0}, {"other", 0}, {"x", 1}}}).Answer.(OffsetsDeleted)
	if fault.CodeOf(forgot.Errs[0]) != fault.GroupSubscribedToTopic || forgot.Errs[1] != nil || forgot.Errs[2] != nil {
		t.Errorf("%v", forgot.Errs)
	}
	if rows := d.machine.Query(Question{Group: "g"}).(Answer); len(rows) != 1 || rows[0].Topic != "t" {
		t.Errorf("%+v", rows)
	}
	d.ask(Leave{Members: []Identity{{ID: all[0].Member}}})
	d.hold = true
	deleting := d.send(Delete{})
	d.want(fault.CoordinatorLoadInProgress, joining(""))
	d.want(fault.CoordinatorLoadInProgress, tool)
	d.want(fault.CoordinatorLoadInProgress, Delete{})
	d.hold = false
	d.step(Tick{})
	if r := d.answer(deleting); r.Err != nil || d.g.Summary().State != Dead {
		t.Errorf("%+v, %+v", r, d.g.Summary())
	}
	if s := d.machine.Query(Load{"g"}).(Stored); s.Metadata != nil || len(s.Positions) != 0 || len(d.machine.names()) != 0 {
		t.Errorf("left in the log: %+v", s)
	}
	if a := d.want(fault.None, joining("")).Answer.(Joined); a.Generation != 1 {
		t.Errorf("the group made anew begins with generation %d", a.Generation)
	}
}

// Goal: positions go with their topic, those that were committed later stay, and so do those of tasks. Method:
// ForgetTopics of a time between two commits.
func TestTopicsGo(t *testing.T) {
	d := newDesk(t)
	all := d.form(1)
	task, err := Frame(Commit{Group: "g", Generation: 3, TimeMs: 1, Positions: []Position{{TopicPartition: TopicPartition{"t", 9}}}})
	must(err == nil && d.machine.Apply(records(task)) == nil, "apply")
	d.start()
	older, younger := committing(all[0], 1), committing(all[0], 1)
	younger.Positions[0].Partition = 1
	d.want(fault.None, older)
	gone := ForgetTopics{Topics: []string{"t"}, BeforeMs: d.now.UnixMilli()}
	d.pass(time.Second)
	d.want(fault.None, younger)
	if read := d.machine.Query(TopicsRead{}).(map[string][]string); !reflect.DeepEqual(read, map[string][]string{"t": {"g"}}) {
		t.Errorf("%v", read)
	}
	d.step(gone)
	left := d.machine.Query(Question{Group: "g"}).(Answer)
	if len(left) != 2 || left[0].Partition != 1 || left[1].Partition != 9 {
		t.Errorf("%+v", left)
	}
}

// Goal: who joins a group that is named as an application with tasks is told so once and for all, instead of joining
// and being fenced for ever. Method: a position of a task that is in the log when the coordinator starts, and one that
// a member's commit meets.
func TestMemberOfApplication(t *testing.T) {
	d := newDesk(t)
	all := d.form(2)
	d.want(fault.InconsistentGroupProtocol, joining("", "other")) // with no strategy in common, as ever
	task, err := Frame(Commit{Group: "g", Generation: 3, TimeMs: 1, Positions: committing(all[0], 1).Positions})
	must(err == nil && d.machine.Apply(records(task)) == nil, "apply")
	d.failing = fault.New(fault.IllegalGeneration, "as the replica says")
	d.want(fault.IllegalGeneration, committing(all[0], 1))
	d.failing = nil
	d.want(fault.InconsistentGroupProtocol, joining(all[0].Member))
	d.want(fault.None, Leave{Members: []Identity{{ID: all[0].Member}, {ID: all[1].Member}}})
	d.want(fault.InconsistentGroupProtocol, joining(""))
	d.start()
	d.want(fault.InconsistentGroupProtocol, joining(""))
	d.want(fault.None, Describe{})
}

// Goal: a failed deletion leaves the group as it is. Method: fail the append.
func TestFailedDeletion(t *testing.T) {
	d := newDesk(t)
	d.want(fault.None, committing(Joined{Generation: NoGeneration}, 1))
	d.failing = errors.New("no disk")
	if r := d.ask(Delete{}); r.Err == nil || !d.g.exists() {
		t.Fatalf("%+v", r)
	}
	d.failing = nil
	d.want(fault.None, Delete{})
}

// Goal: positions go when they are old and nobody is in the group, and the group with the last of them; those
// of tasks stay. Method: time passes; Aged names who is to be asked.
func TestExpiry(t *testing.T) {
	d := newDesk(t)
	d.set.Retention = time.Hour
	keep := d.start().set.Retention
	all := d.form(1)
	d.want(fault.None, committing(all[0], 1))
	for range 3 * keep / (9 * time.Second) { // commits nothing for longer than the retention, but is there
		d.pass(9 * time.Second)
		d.want(fault.None, beat(all[0]))
	}
	d.step(Expire{})
	old := Aged{BeforeMs: d.now.Add(-keep).UnixMilli(), Limit: 10}
	if names := d.machine.Query(old).([]string); len(names) != 0 || len(d.g.rows) != 1 {
		t.Fatalf("with a member: %v, %d positions", names, len(d.g.rows))
	}
	d.ask(Leave{Members: []Identity{{ID: all[0].Member}}})
	d.step(Expire{})
	if len(d.g.rows) != 1 {
		t.Fatal("expired as soon as the group was empty")
	}
	d.now = d.now.Add(keep + time.Second)
	old.BeforeMs = d.now.Add(-keep).UnixMilli()
	if names := d.machine.Query(old).([]string); !reflect.DeepEqual(names, []string{"g"}) {
		t.Fatalf("aged: %v", names)
	}
	d.step(Expire{})
	if d.g.exists() || len(d.machine.names()) != 0 {
		t.Errorf("left: %v", d.machine.names())
	}
	task, err := Frame(Commit{Group: "g", Generation: 3, TimeMs: 1, Positions: committing(all[0], 1).Positions})
	must(err == nil && d.machine.Apply(records(task)) == nil, "apply")
	d.start().step(Expire{})
	if names := d.machine.Query(old).([]string); len(names) != 0 || len(d.g.rows) != 1 {
		t.Errorf("a task's position: %v, %d left", names, len(d.g.rows))
	}
}
