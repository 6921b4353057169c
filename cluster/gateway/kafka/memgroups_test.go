package kafka

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// memGroups serves groups with the real coordinator core over one machine, whose log is a call. The zero
// value is ready.
type memGroups struct {
	gmu     sync.Mutex
	machine *group.Machine
	cores   map[string]*memGroup
	ids     int
}

type memGroup struct {
	core  *group.Coordinator
	req   group.ReqID
	waits map[group.ReqID]func(group.Reply)
	timer *time.Timer
}

// ask steps the core of a group; done runs when it replies.
func (p *memGroups) ask(name string, in func(group.ReqID) group.Input, done func(group.Reply)) {
	if name == "" {
		done(group.Reply{Err: fault.New(fault.InvalidGroupID, "no group")})
		return
	}
	p.gmu.Lock()
	g := p.find(name)
	g.req++
	g.waits[g.req] = done
	replies := p.step(g, in(g.req))
	p.gmu.Unlock()
	for _, reply := range replies {
		reply()
	}
}

func (p *memGroups) find(name string) *memGroup {
	if p.machine == nil {
		p.machine, p.cores = group.New(), map[string]*memGroup{}
	}
	g := p.cores[name]
	if g == nil {
		stored := p.machine.Query(group.Load{Group: name}).(group.Stored)
		set := group.DefaultSettings()
		set.MinSession = time.Millisecond
		g = &memGroup{waits: map[group.ReqID]func(group.Reply){}}
		g.core = group.NewCoordinator(name, set, stored, time.Now(), func() string {
			p.ids++
			return fmt.Sprint(p.ids)
		})
		p.cores[name] = g
	}
	return g
}

// step carries effects out until there are none, and returns what is to be answered. The caller holds gmu.
func (p *memGroups) step(g *memGroup, in group.Input) (replies []func()) {
	queue := []group.Input{in}
	for len(queue) > 0 {
		e := g.core.Step(time.Now(), queue[0])
		queue = queue[1:]
		for _, a := range e.Appends {
			entry := state.Entry{Index: 1, Type: state.EntryRecords, Frame: a.Frame}
			err := p.machine.Admit(entry.Type, entry.Payload())
			if err == nil {
				err = p.machine.Apply(entry)
			}
			queue = append(queue, group.Appended{Token: a.Token, Err: err})
		}
		for _, r := range e.Replies {
			if wait := g.waits[r.Req]; wait != nil {
				delete(g.waits, r.Req)
				replies = append(replies, func() { wait(r) })
			}
		}
		if g.timer != nil {
			g.timer.Stop()
		}
		if !e.Wake.IsZero() {
			g.timer = time.AfterFunc(time.Until(e.Wake), func() { p.tick(g) })
		}
	}
	return replies
}

func (p *memGroups) tick(g *memGroup) {
	p.gmu.Lock()
	replies := p.step(g, group.Tick{})
	p.gmu.Unlock()
	for _, reply := range replies {
		reply()
	}
}

func (p *memGroups) Coordinator(_ broker.Who, name string, _ time.Time, done func(broker.Coordinated)) {
	done(broker.Coordinated{Member: 1})
}

func (p *memGroups) JoinGroup(j broker.JoinGroup, done func(group.Joined, error)) func() {
	var once sync.Once
	p.ask(j.Group, func(r group.ReqID) group.Input { j.Join.Req = r; return j.Join }, func(r group.Reply) {
		a, _ := r.Answer.(group.Joined)
		once.Do(func() { done(a, r.Err) })
	})
	return func() { once.Do(func() { done(group.Joined{}, fault.New(fault.CoordinatorNotAvailable, "given up")) }) }
}

func (p *memGroups) SyncGroup(s broker.SyncGroup, done func(group.Synced, error)) func() {
	var once sync.Once
	p.ask(s.Group, func(r group.ReqID) group.Input { s.Sync.Req = r; return s.Sync }, func(r group.Reply) {
		a, _ := r.Answer.(group.Synced)
		once.Do(func() { done(a, r.Err) })
	})
	return func() { once.Do(func() { done(group.Synced{}, fault.New(fault.CoordinatorNotAvailable, "given up")) }) }
}

func (p *memGroups) Heartbeat(h broker.Heartbeat, done func(error)) {
	p.ask(h.Group, func(r group.ReqID) group.Input { h.Heartbeat.Req = r; return h.Heartbeat },
		func(r group.Reply) { done(r.Err) })
}

func (p *memGroups) LeaveGroup(l broker.LeaveGroup, done func([]error, error)) {
	p.ask(l.Group, func(r group.ReqID) group.Input { l.Leave.Req = r; return l.Leave }, func(r group.Reply) {
		a, _ := r.Answer.(group.Left)
		done(a.Errs, r.Err)
	})
}

func (p *memGroups) CommitGroup(c broker.CommitGroup, done func([]error)) {
	in := group.CommitOffsets{Who: c.Member, Generation: c.Generation}
	for _, o := range c.Offsets {
		in.Positions = append(in.Positions, group.Position{
			TopicPartition: group.TopicPartition{Topic: o.Topic, Partition: o.Partition},
			Offset:         o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata,
		})
	}
	p.ask(c.Group, func(r group.ReqID) group.Input { in.Req = r; return in }, func(r group.Reply) {
		done(slices.Repeat([]error{r.Err}, len(c.Offsets)))
	})
}

func (p *memGroups) DescribeGroups(_ broker.Who, names []string, _ time.Time, done func([]broker.DescribedGroup)) {
	var out []broker.DescribedGroup
	for _, name := range names {
		p.ask(name, func(r group.ReqID) group.Input { return group.Describe{Req: r} }, func(r group.Reply) {
			d, _ := r.Answer.(group.Description)
			out = append(out, broker.DescribedGroup{Name: name, Description: d, Err: r.Err})
		})
	}
	done(out)
}

func (p *memGroups) ListGroups(_ broker.Who, _ time.Time, done func([]broker.ListedGroup, error)) {
	p.gmu.Lock()
	var out []broker.ListedGroup
	for name, g := range p.cores {
		if s := g.core.Summary(); s.State != group.Dead {
			out = append(out, broker.ListedGroup{Name: name, Summary: s})
		}
	}
	p.gmu.Unlock()
	slices.SortFunc(out, func(a, b broker.ListedGroup) int { return strings.Compare(a.Name, b.Name) })
	done(out, nil)
}

func (p *memGroups) DeleteGroups(_ broker.Who, names []string, _ time.Time, done func([]error)) {
	var errs []error
	for _, name := range names {
		p.ask(name, func(r group.ReqID) group.Input { return group.Delete{Req: r} },
			func(r group.Reply) { errs = append(errs, r.Err) })
	}
	done(errs)
}

func (p *memGroups) DeleteGroupOffsets(_ broker.Who, name string, ps []group.TopicPartition, _ time.Time,
	done func([]error, error),
) {
	p.ask(name, func(r group.ReqID) group.Input { return group.DeleteOffsets{Req: r, Partitions: ps} },
		func(r group.Reply) {
			a, _ := r.Answer.(group.OffsetsDeleted)
			done(a.Errs, r.Err)
		})
}

func (p *memGroups) Committed(q broker.CommittedQuery, done func(broker.Committed)) {
	p.gmu.Lock()
	p.find("any")
	question := group.Question{Group: q.Group}
	for _, o := range q.Partitions {
		question.Partitions = append(question.Partitions, group.TopicPartition{Topic: o.Topic, Partition: o.Partition})
	}
	answer := p.machine.Query(question).(group.Answer)
	p.gmu.Unlock()
	var out []broker.CommitOffset
	if q.Partitions == nil {
		for _, a := range answer {
			out = append(out, offsetOf(a))
		}
	}
	for _, o := range q.Partitions {
		i := slices.IndexFunc(answer, func(a group.Committed) bool { return a.Topic == o.Topic && a.Partition == o.Partition })
		if o.Offset, o.LeaderEpoch = -1, -1; i >= 0 {
			o = offsetOf(answer[i])
		}
		out = append(out, o)
	}
	done(broker.Committed{Offsets: out})
}

func offsetOf(a group.Committed) broker.CommitOffset {
	return broker.CommitOffset{
		Topic: a.Topic, Partition: a.Partition, Offset: a.Offset, LeaderEpoch: a.LeaderEpoch, Metadata: a.Metadata,
	}
}
