package placement

import (
	"cmp"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/record"
)

// Hosted is one replica that a member hosts. Topic is the topic as its table tells it.
type Hosted struct {
	Partition record.TopicPartition
	Replica   record.ReplicaID
	Peers     []Replica // all replicas of the partition, this one too; immutable
	Topic     *Topic
}

// HostedTask is one task that a member hosts.
type HostedTask struct {
	App      string
	Task     string
	Epoch    uint64
	Producer TaskProducer
}

// Change is what a member does when a new table replaces an old one. A task that gets a new epoch on the
// same member is in StopTasks with the old and in StartTasks with the new one.
type Change struct {
	Stop, Start       []Hosted // ascending by replica id
	Reconfigure       []Hosted // replicas that stay, of topics whose configuration or replicas changed
	StopTasks         []HostedTask
	StartTasks        []HostedTask // both ascending by application and task
	Created, Deleted  []*Topic     // in the whole cluster, ascending by name; a topic made again is in both
	PartitionsAddedTo []*Topic     // as they are now
	MembersChanged    bool         // members came, went, or changed their address
}

// ReplicasOf lists the replicas that live on a member, ascending by replica id.
func ReplicasOf(t *Table, m record.MemberID) []Hosted {
	if t == nil {
		return nil
	}
	var hosted []Hosted
	for _, topic := range t.Topics {
		hosted = topic.appendHosted(hosted, m)
	}
	return byReplica(hosted)
}

// TasksOf lists the tasks that live on a member, ascending by application and task.
func TasksOf(t *Table, m record.MemberID) []HostedTask {
	if t == nil {
		return nil
	}
	var tasks []HostedTask
	for _, app := range t.Apps {
		tasks = app.appendHosted(tasks, m)
	}
	return byTask(tasks)
}

// Diff says what member m does when new replaces old; old may be nil. What two tables share costs one
// comparison of pointers.
func Diff(old, new *Table, m record.MemberID) Change {
	if old == nil {
		old = &Table{}
	}
	var c Change
	diffTopics(&c, old, new, m)
	diffTasks(&c, old, new, m)
	c.MembersChanged = !maps.EqualFunc(old.Members, new.Members, func(a, b *Member) bool { return *a == *b })
	byReplica(c.Stop)
	byReplica(c.Start)
	byReplica(c.Reconfigure)
	byTask(c.StopTasks)
	byTask(c.StartTasks)
	for _, topics := range [][]*Topic{c.Created, c.Deleted, c.PartitionsAddedTo} {
		slices.SortFunc(topics, func(a, b *Topic) int { return cmp.Compare(a.Name, b.Name) })
	}
	return c
}

func diffTopics(c *Change, old, new *Table, m record.MemberID) {
	for id, was := range old.ByID {
		if new.ByID[id] == nil {
			c.Deleted = append(c.Deleted, was)
			c.Stop = was.appendHosted(c.Stop, m)
		}
	}
	for id, is := range new.ByID {
		was := old.ByID[id]
		switch {
		case was == nil:
			c.Created = append(c.Created, is)
			c.Start = is.appendHosted(c.Start, m)
		case was != is:
			if len(is.Partitions) > len(was.Partitions) {
				c.PartitionsAddedTo = append(c.PartitionsAddedTo, is)
			}
			diffReplicas(c, was.appendHosted(nil, m), is.appendHosted(nil, m))
		}
	}
}

// diffReplicas compares the replicas that a member hosts of one topic. The configuration of a topic is
// compared by its being another Topic: one command more to a replica that stays does no harm.
func diffReplicas(c *Change, was, is []Hosted) {
	before := make(map[record.ReplicaID]bool, len(was))
	for _, h := range was {
		before[h.Replica] = true
	}
	for _, h := range is {
		if before[h.Replica] {
			c.Reconfigure = append(c.Reconfigure, h)
			delete(before, h.Replica)
			continue
		}
		c.Start = append(c.Start, h)
	}
	for _, h := range was {
		if before[h.Replica] {
			c.Stop = append(c.Stop, h)
		}
	}
}

func diffTasks(c *Change, old, new *Table, m record.MemberID) {
	for name, was := range old.Apps {
		if is := new.Apps[name]; is != was {
			c.StopTasks = append(c.StopTasks, missing(was, is, m)...)
		}
	}
	for name, is := range new.Apps {
		if was := old.Apps[name]; is != was {
			c.StartTasks = append(c.StartTasks, missing(is, was, m)...)
		}
	}
}

// missing lists the tasks of a on member m that b, which may be nil, does not hold there with the same epoch.
func missing(a, b *App, m record.MemberID) []HostedTask {
	var tasks []HostedTask
	for _, t := range a.appendHosted(nil, m) {
		if b == nil || b.Tasks[t.Task] != a.Tasks[t.Task] {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

func (t *Topic) appendHosted(to []Hosted, m record.MemberID) []Hosted {
	for p, partition := range t.Partitions {
		if r, ok := partition.On(m); ok {
			tp := record.TopicPartition{Topic: t.ID, Partition: record.Partition(p)}
			to = append(to, Hosted{Partition: tp, Replica: r.ID, Peers: partition.Replicas, Topic: t})
		}
	}
	return to
}

func (a *App) appendHosted(to []HostedTask, m record.MemberID) []HostedTask {
	for name, task := range a.Tasks {
		if task.Member == m {
			to = append(to, HostedTask{App: a.Name, Task: name, Epoch: task.Epoch, Producer: task.Producer})
		}
	}
	return to
}

func byReplica(h []Hosted) []Hosted {
	slices.SortFunc(h, func(a, b Hosted) int { return cmp.Compare(a.Replica, b.Replica) })
	return h
}

func byTask(t []HostedTask) []HostedTask {
	slices.SortFunc(t, func(a, b HostedTask) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Task, b.Task))
	})
	return t
}
