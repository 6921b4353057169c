package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	nethttp "net/http"

	"github.com/millstream-io/millstream/cluster/gateway/http"
	"github.com/millstream-io/millstream/cluster/observe"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// httpDoor is the HTTP listener being served.
type httpDoor struct {
	address string
	cancel  context.CancelFunc
	done    chan error
}

// HTTPAddr is the address that metrics, health and profiles are served on, "host:port", or empty where the
// door is closed.
func (m *Member) HTTPAddr() string {
	if m.http == nil {
		return ""
	}
	return m.http.address
}

// MetricsHandler writes the member's metrics as Prometheus reads them: for a program with an HTTP server of
// its own. It may be served until Close, and later tells what was.
func (m *Member) MetricsHandler() nethttp.Handler { return m.metrics.Handler() }

// openHTTP opens the listener and serves it from the start on: a member that is slow to start says so, and
// can be looked into.
func (m *Member) openHTTP() error {
	l := m.config.HTTPListener
	if l == nil && m.config.HTTP == "" {
		return nil
	}
	if l == nil {
		address, err := doorAddress(m.config.HTTP, m.config.Insecure)
		if err != nil {
			return err
		}
		if l, err = net.Listen("tcp", address); err != nil {
			return fmt.Errorf("open the HTTP door on %s: %w; free the port, or give another address", address, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &httpDoor{address: l.Addr().String(), cancel: cancel, done: make(chan error, 1)}
	o := http.Options{
		Logger: m.config.Logger, Metrics: m.metrics.Handler(), Health: m.unhealthy, Ready: m.unready,
		Notes: m.notes, Damage: func() any { return m.Damage() },
		Group:    func(ctx context.Context, name string) (any, error) { return m.Group(ctx, name) },
		Apps:     func() any { return m.Apps() },
		App:      func(name string) (any, error) { return m.App(name) },
		Observer: m.metrics.HTTP(), DrainTimeout: closeTimeout,
	}
	m.http = d
	go func() {
		err := http.Serve(ctx, l, o)
		if err != nil {
			m.config.Logger.Error("http door closed by itself", "err", err)
		}
		d.done <- err
	}()
	return nil
}

// close lets answers in flight finish and waits for them.
func (d *httpDoor) close() error {
	d.cancel()
	return <-d.done
}

// unhealthy says why the member can do nothing more until it is started again.
func (m *Member) unhealthy() []string {
	if err := m.fenced.Load(); err != nil {
		return []string{fmt.Sprintf("the store is fenced, nothing more is written: %v", *err)}
	}
	return nil
}

// maxUnready bounds the replicas that one question asks, and so the reasons that it gives.
const maxUnready = 10

// unready says why the member should get no traffic now. A replica that is not at work is asked, which gives
// one that has only just been placed here the time to begin.
func (m *Member) unready(ctx context.Context) []string {
	reasons := m.unhealthy()
	switch {
	case m.closing():
		return append(reasons, "the member is closing")
	case !m.ready.Load():
		return append(reasons, "the member is starting: "+*m.stage.Load())
	}
	here := m.directory.here.Load()
	if err := m.awaitPlaced(ctx, here.at[record.TopicPartition{}]); err != nil {
		reasons = append(reasons, fmt.Sprintf("the metadata log does not answer: %v", err))
	}
	for _, p := range here.byID {
		if p.readOnly.Load() && len(reasons) < maxUnready {
			reasons = append(reasons, fmt.Sprintf("partition %s/%d takes no writes: %v",
				p.topicName(), p.tp.Partition, *p.failed.Load()))
		}
		if p.serving() {
			continue
		}
		if err := m.awaitPlaced(ctx, p); err != nil && m.directory.here.Load().byID[p.id] == p {
			reasons = append(reasons, fmt.Sprintf("partition %s/%d does not answer: %v",
				p.topicName(), p.tp.Partition, err))
		}
		if len(reasons) >= maxUnready {
			return append(reasons, "there may be more")
		}
	}
	return reasons
}

// awaitPlaced waits until a replica answers.
func (m *Member) awaitPlaced(ctx context.Context, p *placed) error {
	ref := p.ref.Load()
	if ref == nil {
		return errNoActor
	}
	return m.awaitRef(ctx, *ref)
}

var errNoActor = errors.New("its actor was not started")

// serving reports whether a replica knows who leads, and has committed in that one's epoch if it is itself.
func (p *placed) serving() bool {
	v := p.view.Load()
	return v != nil && v.LeaderReplica != 0 && (!v.Leader || v.Ready)
}

// metadataName is what the metadata log is called where partitions are listed. No topic may have this name.
const metadataName = "__cluster_metadata"

func (p *placed) topicName() string {
	if p.topic == nil {
		return metadataName
	}
	return p.topic.Name
}

// snapshot is what metrics tell of this moment.
func (m *Member) snapshot() observe.Snapshot {
	s := observe.Snapshot{Fenced: m.fenced.Load() != nil, Started: m.ready.Load()}
	if !s.Started {
		return s
	}
	table := m.table.Load()
	s.Ready = !m.closing()
	s.Cluster, s.Member = m.id.cluster, m.id.member
	s.Topics, s.Tasks = len(table.Topics), len(placement.TasksOf(table, m.id.member))
	s.FreeBytes, s.WaitingJobs = m.store.Free(), m.jobs.Waiting()
	for _, d := range m.store.Damaged() {
		s.LostClasses = append(s.LostClasses, d.Class.String())
	}
	s.DamagedRanges = m.damage.total()
	s.Partitions = func(yield func(observe.Partition) bool) {
		for _, p := range m.directory.here.Load().byID {
			o := p.observed()
			o.DamagedRanges = m.damage.count(p.id)
			if !yield(o) {
				return
			}
		}
	}
	s.States = func(yield func(observe.State) bool) {
		for _, d := range m.states.InMemory() {
			if !yield(observe.State{App: appOf(d.Task), Bytes: d.MemTable + d.CacheBytes, AtRest: d.AtRest}) {
				return
			}
		}
	}
	return s
}

// appOf is the application that a task belongs to, by the name of the task.
func appOf(name string) string {
	id, err := task.ParseID(name)
	must(err == nil, "task %q", name)
	return id.App
}

func (p *placed) observed() observe.Partition {
	o := observe.Partition{
		Replica: p.id, Topic: p.topicName(), Partition: p.tp.Partition, Serving: p.serving(), ReadOnly: p.readOnly.Load(),
	}
	if v := p.view.Load(); v != nil {
		o.Leader, o.Epoch = v.Leader, v.Epoch
		o.LogStart, o.HighWatermark, o.LastStable, o.LogEnd = v.LogStart, v.HighWatermark, v.LastStable, v.LogEnd
	}
	return o
}
