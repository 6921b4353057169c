package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/controller"
	groupactor "github.com/millstream-io/millstream/actors/group"
	"github.com/millstream-io/millstream/actors/pool"
	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/actors/supervise"
	taskactor "github.com/millstream-io/millstream/actors/task"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/partition/machine/meta"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/freespace"
	"github.com/millstream-io/millstream/state/engine/statedb"
	"github.com/millstream-io/millstream/topology/task"
)

// controllerName is the one identity of the kind "controller".
const controllerName = "cluster"

func (m *Member) openStore() (err error) {
	m.store, err = engine.Open(engine.Options{
		Dir: filepath.Join(m.dir, logDirName), Logger: m.config.Logger, BucketBytes: m.config.BucketBytes,
		Observer: m.disk,
		OnFence: func(err error) {
			m.fenced.Store(&err)
			m.config.Logger.Error("store fenced: nothing more is written; restart the member", "err", err)
		},
	})
	if err != nil {
		return fmt.Errorf("open the log in %s: %w", m.dir, err)
	}
	m.reader = &watchedStore{m.store, m.damage}
	if err := m.judgeDamage(); err != nil {
		return err
	}
	m.states, err = statedb.OpenStates(statedb.Options{
		Dir: filepath.Join(m.dir, stateDirName), Logger: m.config.Logger, MemoryBytes: m.config.StateBytes,
		Counts: func(name string) *statedb.Counts { return m.metrics.State(appOf(name)) },
	})
	if err != nil {
		return fmt.Errorf("open the state of tasks in %s: %w", m.dir, err)
	}
	return nil
}

// judgeDamage looks at the classes that have lost what was durable. Where the operator accepts the loss, they
// are mended. Otherwise their partitions are served without being written to; but without the metadata nobody
// knows what there is to serve.
func (m *Member) judgeDamage() error {
	var faults []error
	for _, d := range m.store.Damaged() {
		if !m.config.AcceptLoss && d.Class == state.ClassMeta {
			faults = append(faults, fault.New(fault.CorruptRecord, "the metadata log in %s has lost writes, so the member "+
				"does not know for sure which topics it has: %w", m.dir, d.Err()).
				WithHint("restore the directory from a copy, or set AcceptLoss (storage.accept_loss) once"))
			continue
		}
		if !m.config.AcceptLoss {
			m.config.Logger.Error("durable writes are lost: what is left is served, and nothing written to this class",
				"class", d.Class.String(), "from", d.From, "to", d.To, "reason", d.Reason,
				"hint", "restore the directory from a copy, or start once with storage.accept_loss")
			continue
		}
		m.config.Logger.Error("loss accepted: durable writes are given up", "class", d.Class.String(),
			"from", d.From, "to", d.To, "reason", d.Reason)
		if err := m.store.Accept(d.Class); err != nil {
			faults = append(faults, fmt.Errorf("accept the loss of class %s: %w", d.Class, err))
		}
	}
	return errors.Join(faults...)
}

// openActors starts the runtime, the metadata replica and the controller, and returns when the metadata has
// been read.
func (m *Member) openActors(ctx context.Context) error {
	m.jobs = pool.New(pool.Options{
		Size: max(4, 2*m.config.TaskWorkers),
		OnPanic: func(reason any, stack []byte) {
			m.config.Logger.Error("disk job panicked", "err", fmt.Sprint(reason), "stack", string(stack))
		},
	})
	m.workers = pool.New(pool.Options{
		Size: m.config.TaskWorkers,
		OnPanic: func(reason any, stack []byte) {
			m.config.Logger.Error("task job panicked", "err", fmt.Sprint(reason), "stack", string(stack))
		},
	})
	m.system = actors.New(actors.Options{
		Logger: m.config.Logger, Now: m.config.Now, PoolSize: max(4, m.config.TaskWorkers),
		OnUnknown: func(id actors.Identity, msg any) {
			m.config.Logger.Error("unknown message", "kind", id.Kind, "identity", id.Name, "type", fmt.Sprintf("%T", msg))
		},
		OnStopped: m.stopped, Observer: m.metrics.Actors(),
	})
	tasks := &taskHost{
		log: m.config.Logger, self: m.id.member, system: m.system, apps: map[string]*hostedApp{},
		interval: m.config.CommitInterval,
		states:   m.states, now: m.config.Now,
		ports: func(life context.Context, id task.ID, p placement.TaskProducer) task.Ports {
			return newTaskPorts(life, m, id.App, p)
		},
	}
	m.directory = &directory{
		log: m.config.Logger, self: m.id.member, metadata: m.id.metadata,
		system: m.system, store: m.store, tasks: tasks, groups: newGroupHost(m),
	}
	m.table.Store(meta.New().Table())
	m.broker = broker.New(broker.Config{
		Self: m.id.member, Table: &m.table, Directory: m.directory, Store: m.reader, Submit: m.jobs.Submit,
		Now: m.config.Now, AutoCreate: m.config.AutoCreateTopics,
		MemberConfig: m.describe, Volume: m.volume, Logger: m.config.Logger,
	})
	m.system.Register(replica.Kind(m.replicaPorts, supervise.Replica()))
	m.system.Register(actors.Kind{Name: readOnlyKind, Restart: supervise.Replica(), New: m.readOnly})
	m.system.Register(controller.Kind(m.controllerPorts, supervise.Replica()))
	m.system.Register(groupactor.Kind(m.directory.groups.ports, supervise.Replica()))
	m.system.Register(groupactor.Sweeper(m.directory.groups.sweeperPorts, supervise.Task()))
	m.system.Register(taskactor.Kind(m.observed(tasks.open), m.workers.Submit))
	if err := m.directory.begin(); err != nil {
		return fmt.Errorf("start the metadata replica: %w", err)
	}
	if err := m.awaitReplica(ctx, record.TopicPartition{}); err != nil {
		return fmt.Errorf("read the metadata log: %w", m.blamed(err))
	}
	epoch := m.directory.here.Load().at[record.TopicPartition{}].view.Load().Epoch
	if _, err := m.system.Activate(controller.KindName, controllerName, uint64(epoch)); err != nil {
		return fmt.Errorf("start the controller: %w", err)
	}
	m.client = client.New(local{m})
	return nil
}

// register names a new cluster, and tells it where this member's door is.
func (m *Member) register(ctx context.Context, address string) error {
	if err := m.askController(ctx, func(d time.Time) any {
		return controller.InitCluster{ClusterID: m.id.cluster, Metadata: m.id.metadata, Deadline: d}
	}); err != nil {
		return fmt.Errorf("name the cluster: %w", err)
	}
	if err := m.askController(ctx, func(d time.Time) any {
		return controller.RegisterMember{ID: m.id.member, Address: address, Deadline: d}
	}); err != nil {
		return fmt.Errorf("register the member: %w", err)
	}
	return nil
}

// askController asks for a change and waits until it is in the table.
func (m *Member) askController(ctx context.Context, request func(deadline time.Time) any) error {
	deadline := m.by(ctx)
	ref, ok := m.directory.Controller()
	if !ok { // it has stopped: the member closes, or it crashed too often
		return fault.New(fault.NotController, "the controller is not up on this member").WithHint("restart the member")
	}
	type answer struct{ err error }
	a, err := broker.Await(ctx, func(done func(answer)) {
		broker.Ask(ref, deadline, request(deadline), func(_ controller.Done, err error) { done(answer{err}) })
	})
	return firstError(err, a.err)
}

// awaitReplicas waits until every partition of this member answers. One that ended by itself, its log is
// damaged for example, is left out: its log line says why, readiness names it, and all others are served.
func (m *Member) awaitReplicas(ctx context.Context) error {
	for _, h := range placement.ReplicasOf(m.table.Load(), m.id.member) {
		p := m.directory.here.Load().byID[h.Replica]
		err := m.awaitReplica(ctx, h.Partition)
		if p != nil && fault.CodeOf(err) == fault.NotLeader {
			err = m.awaitSuccessor(ctx, p, err)
		}
		if err == nil || p == nil || p.failed.Load() != nil {
			continue
		}
		return fmt.Errorf("start partition %s/%d: %w", h.Topic.Name, h.Partition.Partition, m.blamed(err))
	}
	return nil
}

// lifePause is how long a replica that crashed is given before it is asked again.
const lifePause = 100 * time.Millisecond

// awaitSuccessor waits for what follows a life that ended while it was asked: the next one after a crash, a
// reader after damage, or nothing. err is what the ended life said.
func (m *Member) awaitSuccessor(ctx context.Context, p *placed, err error) error {
	for deadline := m.by(ctx); fault.CodeOf(err) == fault.NotLeader && m.config.Now().Before(deadline); {
		pause := time.NewTimer(lifePause)
		select {
		case <-p.ended:
			pause.Stop()
			return m.awaitReplica(ctx, p.tp)
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
			err = m.awaitReplica(ctx, p.tp)
		}
	}
	return err
}

// blamed puts what is known of the cause in front of an error that only says that nobody answered.
func (m *Member) blamed(err error) error {
	if p := m.directory.here.Load().byID[m.id.metadata]; p != nil {
		if cause := p.failed.Load(); cause != nil {
			return *cause
		}
	}
	if m.store.Free() <= 0 {
		return fault.New(fault.DiskFull, "the volume of %s is full: %w", m.dir, err).
			WithHint("free space on it and start again; nothing is lost")
	}
	return err
}

// awaitReplica waits until a replica has a leader that answers: it asks for no bytes, which is answered at
// once then.
func (m *Member) awaitReplica(ctx context.Context, tp record.TopicPartition) error {
	r, ok := m.directory.Replica(tp)
	must(ok, "replica of %s is not placed here", tp)
	return m.awaitRef(ctx, r.Ref)
}

func (m *Member) awaitRef(ctx context.Context, ref actors.Ref) error {
	type answer struct{ err error }
	a, err := broker.Await(ctx, func(done func(answer)) {
		ref.Ask(m.by(ctx), replica.Watch{Deadline: m.by(ctx)}, func(a any, err error) {
			if r, ok := a.(partition.Reply); ok {
				err = r.Err
			}
			done(answer{err})
		})
	})
	return firstError(err, a.err)
}

// stopped hears of every activation that ended.
func (m *Member) stopped(id actors.Identity, err error) {
	switch id.Kind {
	case replica.KindName:
		m.directory.stopped(id, err)
		m.forget(id, err)
	case readOnlyKind:
		m.forget(id, err)
	case taskactor.KindName:
		m.directory.tasks.stopped(id, err)
	case groupactor.KindName:
		m.directory.groups.stopped(id, err)
	default:
		if err != nil {
			m.config.Logger.Error("actor stopped", "kind", id.Kind, "identity", id.Name, "err", err)
		}
	}
}

// replicaPorts gives a life of a replica what it works with.
func (m *Member) replicaPorts(id actors.Identity) replica.Ports {
	p := m.directory.named(id.Name)
	if p == nil { // the table dropped it in this moment: its stop is on the way
		return replica.Ports{}
	}
	ports := replica.Ports{
		Store: m.reader, View: &p.view,
		Config: partition.Config{
			Group: p.tp, Name: p.name(), ID: p.id, Voters: p.voters, Settings: *p.settings.Load(),
			Logger: m.config.Logger, Observer: m.replicaObserver(p.id), MaxTailCacheBytes: m.tailShare(),
		},
	}
	switch {
	case p.topic == nil:
		ports.Machine = func() partition.Machine { return meta.New() }
		ports.Applied = func(machine partition.Machine) { m.publish(machine.(*meta.Machine).Table()) }
	case p.topic.Name == config.OffsetsTopic:
		ports.Machine = func() partition.Machine { return group.New() }
	}
	return ports
}

// readOnly makes a life of what serves a damaged partition.
func (m *Member) readOnly(id actors.Identity) actors.Actor {
	r := &readOnly{p: m.directory.named(id.Name), store: m.reader}
	if r.p != nil {
		r.why = *r.p.failed.Load()
	}
	return r
}

// tellReplica lets a replica know that its log is damaged: it leaves leading to others, where there are any.
func (m *Member) tellReplica(id record.ReplicaID, err error) {
	if m.directory == nil {
		return
	}
	if p := m.directory.here.Load().byID[id]; p != nil {
		if ref := p.ref.Load(); ref != nil {
			ref.Tell(partition.Damaged{Err: err})
		}
	}
}

// replicaName names a replica for those who have to mend it. One that the table does not name, or not yet, is
// called by its id.
func (m *Member) replicaName(id record.ReplicaID) (topic string, p record.Partition, class state.Class) {
	if m.directory != nil {
		if at := m.directory.here.Load().byID[id]; at != nil {
			return at.topicName(), at.tp.Partition, at.settings.Load().Class
		}
	}
	return fmt.Sprintf("replica %d", id), 0, state.ClassCount
}

// replicaObserver is what a replica is observed by, over all its lives.
func (m *Member) replicaObserver(id record.ReplicaID) partition.Observer {
	if m.config.replicaObserver != nil {
		return m.config.replicaObserver
	}
	return m.metrics.Partition(id)
}

// forget ends the metrics of a replica that the table has taken away. One that ended by itself is still
// looked for.
func (m *Member) forget(id actors.Identity, err error) {
	n, parseErr := strconv.ParseUint(id.Name, 10, 64)
	must(parseErr == nil, "replica actor named %q", id.Name)
	if err == nil {
		m.metrics.Forget(record.ReplicaID(n))
		m.damage.forget(record.ReplicaID(n))
	}
}

// observed lets the tasks that open gives be counted.
func (m *Member) observed(open func(actors.Identity) taskactor.Ports) func(actors.Identity) taskactor.Ports {
	return func(id actors.Identity) taskactor.Ports {
		p := open(id)
		p.Config.Observer = m.metrics.Task(p.Config.ID, p.Config.Observer)
		return p
	}
}

// tailShare is what one partition that starts now may keep in memory for its readers.
func (m *Member) tailShare() int {
	share := m.config.TailCacheBytes / int64(max(1, len(m.directory.here.Load().byID)))
	return int(min(max(share, leastTailShare), mostTailShare))
}

// publish makes a new table the one that everybody sees. It runs on the metadata replica's goroutine.
func (m *Member) publish(now *placement.Table) {
	if old := m.table.Swap(now); old != now {
		m.directory.changed(old, now)
	}
}

func (m *Member) controllerPorts(actors.Identity) controller.Ports {
	return controller.Ports{
		Table:  m.table.Load,
		Policy: meta.Policy{Defaults: placement.Defaults{Partitions: int32(m.config.DefaultPartitions), Replicas: 1}},
		Propose: func(frame []byte, deadline time.Time, done func(error)) {
			r, ok := m.directory.Replica(record.TopicPartition{})
			must(ok, "no metadata replica")
			p := partition.Propose{Epoch: record.NoEpoch, Frame: frame, Deadline: deadline}
			broker.Ask(r.Ref, deadline, p, func(a partition.Reply, err error) { done(firstError(err, a.Err)) })
		},
	}
}

// volume tells where the logs are, and how much its volume holds and takes.
func (m *Member) volume() (path string, total, usable int64) {
	_, size, err := freespace.Of(m.dir)
	if err != nil || size == 0 {
		return m.dir, -1, -1
	}
	return m.dir, size, m.store.Free()
}

// describe tells the member's configuration as Kafka names it.
func (m *Member) describe() []config.Entry {
	tell := func(c Config) config.Broker {
		return config.Broker{
			ID: uint64(m.id.member), Partitions: int32(c.DefaultPartitions), Replicas: 1, AutoCreate: c.AutoCreateTopics,
			Offsets: config.OffsetsPartitions, RebalanceDelay: c.GroupRebalanceDelay, OffsetsRetention: c.OffsetsRetention,
		}
	}
	running := tell(m.config)
	running.DataDir = m.dir
	if m.door != nil {
		running.Listener, running.Advertised = m.door.listens, m.door.advertised
	}
	return config.DescribeBroker(running, tell(Defaults()))
}
