package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millstream-io/millstream/actors"
	groupactor "github.com/millstream-io/millstream/actors/group"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// maxGroups is how many groups may have an actor at one time on a member. Groups without members sleep, so
// this many are in use; what a client does to a further one is refused until one falls asleep.
const maxGroups = 20_000

// groupHost keeps the actors of the groups that this member decides for: those whose partition of the
// offsets topic it leads.
type groupHost struct {
	m *Member

	mu    sync.Mutex
	awake map[string]awakeGroup
	bytes int // that they hold
}

// awakeGroup is a group that has an actor.
type awakeGroup struct {
	epoch   uint64
	summary group.Summary
}

func newGroupHost(m *Member) *groupHost { return &groupHost{m: m, awake: map[string]awakeGroup{}} }

// partition finds the replica that keeps a group's rows, and the term in which this member leads it.
func (h *groupHost) partition(name string) (*placed, uint64, error) {
	t := h.m.table.Load().Topics[config.OffsetsTopic]
	if t == nil {
		return nil, 0, fault.New(fault.CoordinatorNotAvailable, "topic %s is not there yet", config.OffsetsTopic).
			WithHint("find the coordinator first")
	}
	n := group.PartitionOf(name, int32(len(t.Partitions)))
	p := h.m.directory.here.Load().at[record.TopicPartition{Topic: t.ID, Partition: n}]
	if p == nil || p.ref.Load() == nil {
		return nil, 0, fault.New(fault.NotCoordinator, "group %q: its partition %s/%d is not on this member", name, t.Name, n).
			WithHint("find the coordinator again")
	}
	v := p.view.Load()
	switch {
	case v == nil || v.Leader && !v.Ready:
		return nil, 0, fault.New(fault.CoordinatorLoadInProgress, "group %q: %s/%d is loading its log", name, t.Name, n).
			WithHint("try again in a moment")
	case !v.Leader:
		return nil, 0, fault.New(fault.NotCoordinator, "group %q: this member does not lead %s/%d", name, t.Name, n).
			WithHint("find the coordinator again")
	}
	return p, uint64(v.Epoch), nil
}

// Group implements broker.GroupDirectory. An actor of an older term is replaced.
func (h *groupHost) Group(name string) (actors.Ref, error) {
	_, epoch, err := h.partition(name)
	if err != nil {
		return actors.Ref{}, err
	}
	if ref, ok := h.m.system.Lookup(groupactor.KindName, name); ok && ref.Identity().Epoch == epoch {
		return ref, nil
	}
	if err := h.wake(name, epoch); err != nil {
		return actors.Ref{}, err
	}
	return h.m.system.Activate(groupactor.KindName, name, epoch)
}

// wake counts a group that gets an actor.
func (h *groupHost) wake(name string, epoch uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, ok := h.awake[name]
	if !ok && len(h.awake) >= maxGroups {
		return fault.New(fault.CoordinatorNotAvailable, "group %q: %d groups are in use on this member already", name, maxGroups).
			WithHint("try again when some of them have ended")
	}
	if !ok || epoch > was.epoch {
		h.bytes -= was.summary.Bytes
		h.awake[name] = awakeGroup{epoch: epoch, summary: group.Summary{State: group.Dead}}
	}
	return nil
}

// Groups implements broker.GroupDirectory.
func (h *groupHost) Groups() map[string]group.Summary {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[string]group.Summary, len(h.awake))
	for name, g := range h.awake {
		all[name] = g.summary
	}
	return all
}

// maxGroupBytes is what the members of all groups together may hold in memory, nearly.
const maxGroupBytes = 256 << 20

// Room implements broker.GroupDirectory.
func (h *groupHost) Room(bytes int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes+bytes <= maxGroupBytes
}

// stopped hears of an actor that ended. One that was fenced although this member leads in a newer term
// begins again: its members' sessions need somebody to count them.
func (h *groupHost) stopped(id actors.Identity, err error) {
	h.mu.Lock()
	if g := h.awake[id.Name]; g.epoch == id.Epoch {
		h.bytes -= g.summary.Bytes
		delete(h.awake, id.Name)
	}
	h.mu.Unlock()
	if err == nil {
		return
	}
	h.m.config.Logger.Info("group coordinator ended", "group", id.Name, "epoch", id.Epoch, "err", err)
	if _, epoch, wrong := h.partition(id.Name); wrong == nil && epoch > id.Epoch {
		_, _ = h.Group(id.Name) // whoever asks next does the same
	}
}

// changed keeps what an actor tells of its group.
func (h *groupHost) changed(name string, epoch uint64, s group.Summary) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was := h.awake[name]; was.epoch == epoch {
		h.bytes += s.Bytes - was.summary.Bytes
		h.awake[name] = awakeGroup{epoch, s}
	}
}

// ports gives a life of a group what it works with.
func (h *groupHost) ports(id actors.Identity) groupactor.Ports {
	p, epoch, err := h.partition(id.Name)
	if err != nil || epoch != id.Epoch {
		return groupactor.Ports{}
	}
	ref := *p.ref.Load()
	return groupactor.Ports{
		Settings: h.m.config.groupSettings(),
		NewID:    rand.Text,
		Noted: func(e group.Entry) {
			h.m.config.Logger.Info("group membership", "group", id.Name, "generation", e.Generation, "member", e.Member, "reason", e.What)
		},
		Changed: func(s group.Summary) { h.changed(id.Name, id.Epoch, s) },
		Load: func(deadline time.Time, done func(group.Stored, error)) {
			q := partition.Query{Question: group.Load{Group: id.Name}, Deadline: deadline}
			broker.Ask(ref, deadline, q, func(a partition.Reply, err error) {
				stored, _ := a.Answer.(group.Stored)
				done(stored, firstError(err, a.Err))
			})
		},
		Append: func(frame []byte, deadline time.Time, done func(error)) {
			m := partition.Append{Acks: -1, Epoch: record.Epoch(id.Epoch), Frame: frame, Deadline: deadline}
			broker.Ask(ref, deadline, m, func(a partition.Reply, err error) { done(firstError(err, a.Err)) })
		},
	}
}

// resume starts the sweeper, and begins the lives of all groups that have members according to the log, so that those who are gone
// are missed.
func (h *groupHost) resume(ctx context.Context) error {
	if _, err := h.m.system.Activate(groupactor.SweeperKind, "member", 1); err != nil {
		return fmt.Errorf("start the sweeper of groups: %w", err)
	}
	t := h.m.table.Load().Topics[config.OffsetsTopic]
	if t == nil {
		return nil
	}
	var faults []error
	for _, r := range placement.ReplicasOf(h.m.table.Load(), h.m.id.member) {
		p := h.m.directory.here.Load().byID[r.Replica]
		if r.Topic != t || p == nil || p.failed.Load() != nil {
			continue
		}
		err := h.resumePartition(ctx, p)
		if p.failed.Load() == nil && err != nil { // else it ended meanwhile, which is reported
			faults = append(faults, fmt.Errorf("read the groups of %s: %w", p.name(), err))
		}
	}
	return errors.Join(faults...)
}

func (h *groupHost) resumePartition(ctx context.Context, p *placed) error {
	type answer struct {
		partition.Reply
		err error
	}
	a, err := broker.Await(ctx, func(done func(answer)) {
		q := partition.Query{Question: group.List{}, Deadline: h.m.by(ctx)}
		broker.Ask(*p.ref.Load(), h.m.by(ctx), q, func(r partition.Reply, err error) { done(answer{r, err}) })
	})
	if err := firstError(err, a.err, a.Err); err != nil {
		return err
	}
	h.forgetTopics(*p.ref.Load(), h.gone)
	for _, l := range a.Answer.([]group.Listed) {
		if l.Members == 0 {
			continue
		}
		if _, err := h.Group(l.Group); err != nil {
			return err
		}
	}
	return nil
}

// sweepEvery is how often old positions are looked for, and sweepGroups how many groups of a partition are
// woken for it at a time.
const (
	sweepEvery  = 10 * time.Minute
	sweepGroups = 1000
)

// sweeperPorts is what the sweeper of this member works with.
func (h *groupHost) sweeperPorts() groupactor.SweeperPorts {
	return groupactor.SweeperPorts{
		Every: sweepEvery, Aged: h.aged,
		Expire: func(name string) {
			if ref, err := h.Group(name); err == nil { // else the next sweep finds it again
				ref.Tell(group.Expire{})
			}
		},
	}
}

// aged asks all partitions that are led here for groups with old positions.
func (h *groupHost) aged(now time.Time, done func([]string)) {
	var refs []actors.Ref
	for _, p := range h.m.directory.here.Load().byID {
		if v := p.view.Load(); p.topic != nil && p.topic.Name == config.OffsetsTopic && v != nil && v.Ready {
			refs = append(refs, *p.ref.Load())
		}
	}
	found := &gathered{left: len(refs) + 1, done: done}
	q := partition.Query{
		Question: group.Aged{BeforeMs: now.Add(-h.m.config.OffsetsRetention).UnixMilli(), Limit: sweepGroups},
		Deadline: now.Add(sweepEvery),
	}
	for _, ref := range refs {
		broker.Ask(ref, q.Deadline, q, func(a partition.Reply, _ error) {
			names, _ := a.Answer.([]string) // a partition that can't answer is asked again at the next sweep
			found.add(names)
		})
	}
	found.add(nil)
}

// gathered collects the answers of several partitions.
type gathered struct {
	mu    sync.Mutex
	names []string
	left  int
	done  func([]string)
}

func (g *gathered) add(names []string) {
	g.mu.Lock()
	g.names = append(g.names, names...)
	g.left--
	last := g.left == 0
	g.mu.Unlock()
	if last {
		g.done(g.names)
	}
}

// changedTopics makes groups forget their positions in topics that were deleted. It runs where the table
// changes, so nothing is waited for: what fails is made up for at the next start.
func (h *groupHost) changedTopics(now *placement.Table, deleted []*placement.Topic) {
	t := now.Topics[config.OffsetsTopic]
	if t == nil || len(deleted) == 0 {
		return
	}
	names := map[string]bool{}
	for _, d := range deleted {
		names[d.Name] = true
	}
	for _, p := range h.m.directory.here.Load().byID {
		if ref := p.ref.Load(); p.topic != nil && p.topic.Name == config.OffsetsTopic && ref != nil {
			h.forgetTopics(*ref, func(topic string) bool { return names[topic] })
		}
	}
}

// gone reports whether a topic does not exist.
func (h *groupHost) gone(topic string) bool { return h.m.table.Load().Topics[topic] == nil }

// forgetTopics finds the groups that have positions in topics that are gone, and tells them.
func (h *groupHost) forgetTopics(ref actors.Ref, gone func(topic string) bool) {
	now := h.m.config.Now()
	q := partition.Query{Question: group.TopicsRead{}, Deadline: now.Add(sweepEvery)}
	broker.Ask(ref, q.Deadline, q, func(a partition.Reply, _ error) {
		read, _ := a.Answer.(map[string][]string)
		lost := map[string][]string{}
		for topic, groups := range read {
			if !gone(topic) {
				continue
			}
			for _, name := range groups {
				lost[name] = append(lost[name], topic)
			}
		}
		for name, topics := range lost {
			if ref, err := h.Group(name); err == nil {
				ref.Tell(group.ForgetTopics{Topics: topics, BeforeMs: now.UnixMilli()})
			}
		}
	})
}

// groupSettings is what groups obey by this configuration.
func (c Config) groupSettings() group.Settings {
	s := group.DefaultSettings()
	s.InitialDelay, s.Retention = c.GroupRebalanceDelay, c.OffsetsRetention
	return s
}

// Group implements broker.Directory.
func (d *directory) Group(name string) (actors.Ref, error) { return d.groups.Group(name) }

// Groups implements broker.Directory.
func (d *directory) Groups() map[string]group.Summary { return d.groups.Groups() }

// Room implements broker.Directory.
func (d *directory) Room(bytes int) bool { return d.groups.Room(bytes) }
