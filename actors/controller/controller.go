package controller

import (
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/supervise"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
)

// KindName is the name of the kind.
const KindName = "controller"

// Limits of what may be on its way to the log: changes, and the partitions that they add. What would exceed
// them is refused with fault.ThrottlingQuotaExceeded. Plans that are made at the same time do not see each
// other, so these also bound how far a burst of them can overshoot what a member may hold.
const (
	MaxOpen           = 4096
	MaxOpenPartitions = placement.MaxPartitions
)

// Ports is what the controller works with. All functions are called in Receive and must not block.
type Ports struct {
	// Table returns the newest published table; nil counts as empty.
	Table func() *placement.Table
	// Propose gives a command to the metadata replica, which owns the frame (state.FrameRoom bytes of room
	// in front) from then on. done runs exactly once, on any goroutine: with nil when the command was
	// applied AND Table returns a table that holds the change, with the refusal of the machine, or with
	// what kept the command from being committed. In the last case the command may still take effect later.
	Propose func(frame []byte, deadline time.Time, done func(error))
	// Policy makes the decisions.
	Policy meta.Policy
}

// Kind makes the kind; ports is asked once a life for what the controller works with.
func Kind(ports func(actors.Identity) Ports, restart supervise.Policy) actors.Kind {
	return actors.Kind{
		Name:    KindName,
		Restart: restart,
		New:     func(id actors.Identity) actors.Actor { return &shell{p: ports(id), jobs: map[uint64]*job{}} },
	}
}

// shell is one life of the controller.
type shell struct {
	p       Ports
	jobs    map[uint64]*job
	lastJob uint64
	open    int // changes on their way
	adding  int // partitions that they add
	block   producerBlock
}

// step is one change of a request, or why there is none.
type step struct {
	command    meta.Command
	partitions int // that it adds
	err        error
}

func (s *step) sends() bool { return s.err == nil && !s.command.IsZero() }

// job is a request whose changes are on their way. finish runs when all of them have settled.
type job struct {
	steps  []step
	open   int
	finish func(c actors.Context, steps []step)
}

// settled says how one change ended.
type settled struct {
	job  uint64
	step int
	err  error
}

// Receive implements actors.Actor.
func (s *shell) Receive(c actors.Context, m any) {
	switch m := m.(type) {
	case settled:
		s.settle(c, m)
	case CreateTopics:
		s.createTopics(c, m)
	case DeleteTopics:
		s.deleteTopics(c, m)
	case CreatePartitions:
		s.createPartitions(c, m)
	case AlterTopics:
		s.alterTopics(c, m)
	case AllocateProducerID:
		s.allocateProducer(c, m)
	case InitCluster:
		s.initCluster(c, m)
	case RegisterMember:
		s.single(c, m.Deadline)(s.p.Policy.RegisterMember(m.ID, m.Address, m.Rack))
	case PlaceTasks:
		s.single(c, m.Deadline)(s.p.Policy.PlaceTasks(s.table(), m.App, m.Tasks))
	case RemoveTasks:
		s.single(c, m.Deadline)(s.p.Policy.RemoveTasks(m.App, m.Tasks))
	case actors.Started, actors.Stopping:
	default:
		c.Unknown(m)
	}
}

func (s *shell) table() *placement.Table {
	if t := s.p.Table(); t != nil {
		return t
	}
	return &placement.Table{}
}

func (s *shell) initCluster(c actors.Context, m InitCluster) {
	if s.table().ClusterID == m.ClusterID && m.ClusterID != "" {
		c.Reply(Done{})
		return
	}
	s.single(c, m.Deadline)(s.p.Policy.InitCluster(m.ClusterID, m.Metadata))
}

// single returns a function that proposes one command, if there is one, and answers with Done or the refusal.
func (s *shell) single(c actors.Context, deadline time.Time) func(meta.Command, error) {
	asker := c.Asker()
	return func(command meta.Command, err error) {
		s.propose(c, []step{{command: command, err: err}}, deadline, func(c actors.Context, steps []step) {
			if err := steps[0].err; err != nil {
				c.ReplyTo(asker, err)
				return
			}
			c.ReplyTo(asker, Done{})
		})
	}
}

// propose sends the commands of the steps that have one; finish runs in Receive when all have settled, at
// once where there is none.
func (s *shell) propose(c actors.Context, steps []step, deadline time.Time,
	finish func(actors.Context, []step)) {
	j, adding := &job{steps: steps, finish: finish}, 0
	for i := range steps {
		if steps[i].sends() {
			j.open++
			adding += steps[i].partitions
		}
	}
	if s.open+j.open > MaxOpen || s.adding+adding > MaxOpenPartitions {
		refuse(steps, fault.New(fault.ThrottlingQuotaExceeded,
			"%d changes that add %d partitions are too much beside %d and %d on their way: %d and %d may be", j.open,
			adding, s.open, s.adding, MaxOpen, MaxOpenPartitions).
			WithHint("ask for fewer at a time, or again in a moment"))
		j.open = 0
	}
	if j.open == 0 {
		finish(c, steps)
		return
	}
	s.open, s.adding = s.open+j.open, s.adding+adding
	s.lastJob++
	s.jobs[s.lastJob] = j
	post, id := c.Post(), s.lastJob
	for i := range steps {
		if steps[i].sends() {
			s.p.Propose(steps[i].command.Frame(), deadline, func(err error) { post(settled{id, i, err}) })
		}
	}
}

func (s *shell) settle(c actors.Context, m settled) {
	j := s.jobs[m.job]
	j.steps[m.step].err = m.err
	s.open, s.adding = s.open-1, s.adding-j.steps[m.step].partitions
	if j.open--; j.open > 0 {
		return
	}
	delete(s.jobs, m.job)
	j.finish(c, j.steps)
}

// refuse gives every step that would send a command the reason why none is sent.
func refuse(steps []step, why error) {
	for i := range steps {
		if steps[i].sends() {
			steps[i].err = why
		}
	}
}
