package broker

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// GroupDirectory finds the groups that this member decides for. It is safe for concurrent use and does not
// block.
type GroupDirectory interface {
	// Group finds the actor of a group, beginning its life where it has none.
	Group(name string) (actors.Ref, error)
	// Groups are the groups that have an actor now.
	Groups() map[string]group.Summary
	// Room reports whether members may bring so many bytes more.
	Room(bytes int) bool
}

// waitBeyond is how long a Join or Sync is waited for beyond what the group itself allows: the coordinator
// answers all of them in time, so this only catches what can't be.
const waitBeyond = time.Hour

// Coordinator implements Port.
func (b *Broker) Coordinator(_ Who, name string, deadline time.Time, done func(Coordinated)) {
	if err := checkGroup(name); err != nil {
		done(Coordinated{Err: err})
		return
	}
	b.offsetsTopic(deadline, func(t *placement.Topic, err error) {
		if err != nil {
			done(Coordinated{Err: coordination(err)})
			return
		}
		p := group.PartitionOf(name, int32(len(t.Partitions)))
		l := b.Leader(record.TopicPartition{Topic: t.ID, Partition: p})
		if !l.Known {
			done(Coordinated{Err: fault.New(fault.CoordinatorNotAvailable, "partition %s/%d, which keeps group %q, has no leader",
				t.Name, p, name).WithHint("try again in a moment")})
			return
		}
		done(Coordinated{Member: l.Member})
	})
}

func checkGroup(name string) error {
	if name == "" || len(name) > group.MaxNameBytes {
		return fault.New(fault.InvalidGroupID, "a group's name has 1 to %d bytes, this one has %d", group.MaxNameBytes, len(name)).
			WithHint("set group.id")
	}
	return nil
}

// coordination turns a refusal of the log or of an actor into what clients of groups know how to follow.
func coordination(err error) error {
	switch fault.CodeOf(err) {
	case fault.NotLeader, fault.FencedLeaderEpoch, fault.UnknownLeaderEpoch:
		return fault.New(fault.NotCoordinator, "%w", err)
	case fault.LeaderNotAvailable, fault.Closing, fault.RequestTimedOut, fault.ThrottlingQuotaExceeded,
		fault.StorageError, fault.DiskFull, fault.NotController:
		return fault.New(fault.CoordinatorNotAvailable, "%w", err)
	}
	return err
}

// askGroup puts a request to the actor of a group, making the internal topic first where make says so.
func (b *Broker) askGroup(name string, deadline time.Time, m any, done func(group.Reply)) {
	refuse := func(err error) { done(group.Reply{Err: coordination(err)}) }
	if err := checkGroup(name); err != nil {
		refuse(err)
		return
	}
	b.offsetsTopic(deadline, func(_ *placement.Topic, err error) {
		if err != nil {
			refuse(err)
			return
		}
		ref, err := b.c.Directory.Group(name)
		if err != nil {
			refuse(err)
			return
		}
		ref.Ask(deadline, m, func(answer any, err error) {
			if err != nil {
				refuse(err)
				return
			}
			r := answer.(group.Reply)
			r.Err = coordination(r.Err)
			done(r)
		})
	})
}

// cancellable lets a wait end before its answer has come: whoever is first answers.
func cancellable[A any](name string, done func(A, error)) (answer func(A, error), cancel func()) {
	var over atomic.Bool
	answer = func(a A, err error) {
		if over.CompareAndSwap(false, true) {
			done(a, err)
		}
	}
	cancel = func() {
		var none A
		answer(none, fault.New(fault.CoordinatorNotAvailable, "waiting for group %q was given up", name))
	}
	return answer, cancel
}

// JoinGroup implements Port.
func (b *Broker) JoinGroup(j JoinGroup, done func(group.Joined, error)) (cancel func()) {
	answer, cancel := cancellable(j.Group, done)
	size := 0
	for _, p := range j.Protocols {
		size += len(p.Name) + len(p.Metadata)
	}
	if !b.c.Directory.Room(size) {
		answer(group.Joined{Member: j.Join.Who.ID, Generation: -1}, fullOfGroups(j.Group))
		return cancel
	}
	wait := waitBeyond + 2*time.Duration(j.RebalanceMs)*time.Millisecond
	b.askGroup(j.Group, b.c.Now().Add(wait), j.Join, func(r group.Reply) {
		a, ok := r.Answer.(group.Joined)
		if !ok {
			a = group.Joined{Member: j.Join.Who.ID, Generation: -1}
		}
		answer(a, r.Err)
	})
	return cancel
}

func fullOfGroups(name string) error {
	return fault.New(fault.CoordinatorNotAvailable, "group %q: the members of all groups hold as much memory as they may", name).
		WithHint("use fewer groups, or groups of fewer members, on this member")
}

// SyncGroup implements Port.
func (b *Broker) SyncGroup(s SyncGroup, done func(group.Synced, error)) (cancel func()) {
	answer, cancel := cancellable(s.Group, done)
	size := 0
	for _, a := range s.Assignments {
		size += len(a.Bytes)
	}
	if !b.c.Directory.Room(size) {
		answer(group.Synced{}, fullOfGroups(s.Group))
		return cancel
	}
	b.askGroup(s.Group, b.c.Now().Add(waitBeyond), s.Sync, func(r group.Reply) {
		a, _ := r.Answer.(group.Synced)
		answer(a, r.Err)
	})
	return cancel
}

// Heartbeat implements Port.
func (b *Broker) Heartbeat(h Heartbeat, done func(error)) {
	b.askGroup(h.Group, h.Deadline, h.Heartbeat, func(r group.Reply) { done(r.Err) })
}

// LeaveGroup implements Port.
func (b *Broker) LeaveGroup(l LeaveGroup, done func([]error, error)) {
	b.askGroup(l.Group, l.Deadline, l.Leave, func(r group.Reply) {
		a, _ := r.Answer.(group.Left)
		done(a.Errs, r.Err)
	})
}

// CommitGroup implements Port. Positions of partitions that do not exist are refused one by one.
func (b *Broker) CommitGroup(c CommitGroup, done func([]error)) {
	errs := make([]error, len(c.Offsets))
	m := group.CommitOffsets{Who: c.Member, Generation: c.Generation}
	for i, o := range c.Offsets {
		if errs[i] = b.checkOffset(o); errs[i] != nil {
			continue
		}
		m.Positions = append(m.Positions, group.Position{
			TopicPartition: group.TopicPartition{Topic: o.Topic, Partition: o.Partition},
			Offset:         o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		})
	}
	refuse := func(err error) {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = err
			}
		}
		done(errs)
	}
	switch {
	case len(m.Positions) == 0:
		done(errs)
		return
	case !b.room(group.MaxMetadataBytes):
		refuse(coordination(diskFull()))
		return
	}
	b.askGroup(c.Group, c.Deadline, m, func(r group.Reply) { refuse(r.Err) })
}

// checkOffset refuses a position that can't be one.
func (b *Broker) checkOffset(o CommitOffset) error {
	t := b.Table().Topics[o.Topic]
	switch {
	case t == nil || o.Partition < 0 || int(o.Partition) >= len(t.Partitions):
		return fault.New(fault.UnknownTopicOrPartition, "partition %s/%d does not exist", o.Topic, o.Partition).
			WithHint("check the name with a topic listing")
	case len(o.Metadata) > group.MaxMetadataBytes:
		return fault.New(fault.OffsetMetadataTooLarge, "%d bytes of metadata for %s/%d, %d are taken",
			len(o.Metadata), o.Topic, o.Partition, group.MaxMetadataBytes)
	}
	return nil
}

// manyGroups is how many groups are asked one by one. Of more than that only those are woken that have something to
// say beyond what the log says: a request may name tens of thousands that nobody has heard of.
const manyGroups = 16

// each asks the actors of many groups and answers when all have.
func (b *Broker) each(names []string, deadline time.Time, m any, done func([]group.Reply)) {
	t := b.Table().Topics[config.OffsetsTopic]
	if t == nil || len(names) <= manyGroups {
		b.eachOf(names, deadline, m, func(string) (group.Reply, bool) { return group.Reply{}, false }, done)
		return
	}
	b.storedGroups(t, deadline, func(stored []group.Listed, err error) {
		known, awake := map[string]group.Listed{}, b.c.Directory.Groups()
		for _, l := range stored {
			known[l.Group] = l
		}
		b.eachOf(names, deadline, m, func(name string) (group.Reply, bool) {
			if err != nil {
				return group.Reply{Err: coordination(err)}, true
			}
			if _, ok := awake[name]; ok {
				return group.Reply{}, false
			}
			if _, err := b.coordinator(t, name); err != nil {
				return group.Reply{}, false // who is asked says so
			}
			return asleep(known, name, m)
		}, done)
	})
}

// asleep answers for a group that has no actor, where the log says enough.
func asleep(known map[string]group.Listed, name string, m any) (group.Reply, bool) {
	l, ok := known[name]
	if _, describes := m.(group.Describe); ok && describes && l.Members == 0 {
		return group.Reply{Answer: group.Description{ProtocolType: l.ProtocolType, Positions: l.Positions}}, true
	}
	if ok || name == "" {
		return group.Reply{}, false
	}
	return group.Reply{Err: noGroup(name)}, true
}

func noGroup(name string) error {
	return fault.New(fault.GroupIDNotFound, "group %q does not exist", name).WithHint("check the name with a group listing")
}

// eachOf is each but for those groups whose answers are known.
func (b *Broker) eachOf(names []string, deadline time.Time, m any, known func(string) (group.Reply, bool),
	done func([]group.Reply)) {
	replies := make([]group.Reply, len(names))
	var left atomic.Int64
	left.Store(int64(len(names)) + 1)
	end := func() {
		if left.Add(-1) == 0 {
			done(replies)
		}
	}
	for i, name := range names {
		if b.Table().Topics[config.OffsetsTopic] == nil { // no group was ever there
			replies[i].Err = noGroup(name)
			end()
			continue
		}
		if r, ok := known(name); ok {
			replies[i] = r
			end()
			continue
		}
		b.askGroup(name, deadline, m, func(r group.Reply) {
			replies[i] = r
			end()
		})
	}
	end()
}

// DescribeGroups implements Port.
func (b *Broker) DescribeGroups(_ Who, names []string, deadline time.Time, done func([]DescribedGroup)) {
	b.each(names, deadline, group.Describe{}, func(replies []group.Reply) {
		out := make([]DescribedGroup, len(names))
		for i, r := range replies {
			out[i] = DescribedGroup{Name: names[i], Err: r.Err}
			if fault.CodeOf(r.Err) == fault.GroupIDNotFound {
				out[i].Err, r.Answer = nil, group.Description{State: group.Dead}
			}
			out[i].Description, _ = r.Answer.(group.Description)
		}
		done(out)
	})
}

// DeleteGroups implements Port.
func (b *Broker) DeleteGroups(_ Who, names []string, deadline time.Time, done func([]error)) {
	b.each(names, deadline, group.Delete{}, func(replies []group.Reply) {
		errs := make([]error, len(names))
		for i, r := range replies {
			errs[i] = r.Err
		}
		done(errs)
	})
}

// DeleteGroupOffsets implements Port.
func (b *Broker) DeleteGroupOffsets(_ Who, name string, p []group.TopicPartition, deadline time.Time,
	done func([]error, error)) {
	b.each([]string{name}, deadline, group.DeleteOffsets{Partitions: p}, func(replies []group.Reply) {
		a, _ := replies[0].Answer.(group.OffsetsDeleted)
		done(a.Errs, replies[0].Err)
	})
}

// ListGroups implements Port: what the log has, and what is told by those groups that have an actor.
func (b *Broker) ListGroups(_ Who, deadline time.Time, done func([]ListedGroup, error)) {
	t := b.Table().Topics[config.OffsetsTopic]
	if t == nil {
		done(nil, nil)
		return
	}
	b.storedGroups(t, deadline, func(stored []group.Listed, err error) {
		if err != nil {
			done(nil, coordination(err))
			return
		}
		awake := b.c.Directory.Groups()
		var list []ListedGroup
		for _, l := range stored {
			g := ListedGroup{l.Group, group.Summary{ProtocolType: l.ProtocolType, Members: l.Members}}
			if l.Members > 0 {
				g.State = group.Stable
			}
			if s, ok := awake[l.Group]; ok && s.State != group.Dead {
				g.Summary = s
				delete(awake, l.Group)
			}
			list = append(list, g)
		}
		for name, s := range awake {
			if s.State != group.Dead {
				list = append(list, ListedGroup{name, s})
			}
		}
		slices.SortFunc(list, func(a, b ListedGroup) int { return strings.Compare(a.Name, b.Name) })
		done(list, nil)
	})
}

// storedGroups asks every partition of the offsets topic that lives here.
func (b *Broker) storedGroups(t *placement.Topic, deadline time.Time, done func([]group.Listed, error)) {
	type part struct {
		list []group.Listed
		err  error
	}
	parts := make([]part, len(t.Partitions))
	var left atomic.Int64
	left.Store(int64(len(parts)))
	for p := range parts {
		b.askRows(t, record.Partition(p), deadline, group.List{}, func(answer any, err error) {
			parts[p].list, _ = answer.([]group.Listed)
			parts[p].err = err
			if left.Add(-1) > 0 {
				return
			}
			var all []group.Listed
			for _, q := range parts {
				if q.err != nil {
					done(nil, q.err)
					return
				}
				all = append(all, q.list...)
			}
			done(all, nil)
		})
	}
}

// askRows puts a question to the machine of one partition of the offsets topic.
func (b *Broker) askRows(t *placement.Topic, p record.Partition, deadline time.Time, question any, done func(any, error)) {
	r, ok := b.c.Directory.Replica(record.TopicPartition{Topic: t.ID, Partition: p})
	if !ok {
		done(nil, nil) // another member decides for its groups
		return
	}
	r.Ref.Ask(deadline, partition.Query{Question: question, Deadline: deadline}, func(answer any, err error) {
		a, err := replyOf(answer, err)
		done(a.Answer, err)
	})
}
