package cluster

import (
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// directory knows what lives on this member, and makes it follow the metadata table. Readers take an
// immutable map by an atomic pointer; only changed and begin write, one at a time.
type directory struct {
	log      *slog.Logger
	self     record.MemberID
	metadata record.ReplicaID
	system   *actors.System
	store    state.LogStore
	tasks    *taskHost
	groups   *groupHost

	mu   sync.Mutex // held by changed
	here atomic.Pointer[residents]
}

// residents are the replicas that live here. Immutable once published.
type residents struct {
	at   map[record.TopicPartition]*placed
	byID map[record.ReplicaID]*placed
}

func (r *residents) add(p *placed) { r.at[p.tp], r.byID[p.id] = p, p }

// placed is a replica that lives here.
type placed struct {
	id       record.ReplicaID
	tp       record.TopicPartition
	topic    *placement.Topic // nil for the metadata log
	view     atomic.Pointer[segment.View]
	ref      atomic.Pointer[actors.Ref]
	settings atomic.Pointer[partition.Settings]
	failed   atomic.Pointer[error] // why it ended by itself
	ended    chan struct{}         // closed when it did, and what follows it is in its place
	endOnce  sync.Once
	readOnly atomic.Bool // since it ended its log is served without being written to
	voters   []record.ReplicaID

	unreadable atomic.Pointer[error] // why not even that can be done
}

var _ broker.Directory = (*directory)(nil)

// Replica implements broker.Directory.
func (d *directory) Replica(tp record.TopicPartition) (broker.Replica, bool) {
	if p := d.here.Load().at[tp]; p != nil {
		if ref := p.ref.Load(); ref != nil {
			r := broker.Replica{Ref: *ref, View: &p.view}
			if err := p.unreadable.Load(); err != nil {
				r.Err = *err
			}
			return r, true
		}
	}
	return broker.Replica{}, false
}

// Controller implements broker.Directory.
func (d *directory) Controller() (actors.Ref, bool) {
	return d.system.Lookup(controller.KindName, controllerName)
}

// named finds a replica by the name of its actor.
func (d *directory) named(name string) *placed {
	id, err := strconv.ParseUint(name, 10, 64)
	must(err == nil, "replica actor named %q", name)
	return d.here.Load().byID[record.ReplicaID(id)]
}

// begin places the metadata replica, which no table names.
func (d *directory) begin() error {
	p := &placed{id: d.metadata, voters: []record.ReplicaID{d.metadata}, ended: make(chan struct{})}
	p.settings.Store(&partition.Settings{Class: state.ClassMeta})
	here := newResidents()
	here.add(p)
	d.here.Store(here)
	return d.activate(p)
}

// changed makes what lives here follow the newest table. It runs on the metadata replica's goroutine, so it
// only starts and stops: nothing is waited for.
func (d *directory) changed(old, now *placement.Table) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := placement.Diff(old, now, d.self)
	if len(c.Start)+len(c.Stop) > 0 {
		d.replace(c.Start, c.Stop)
	}
	for _, h := range c.Reconfigure {
		d.reconfigure(h)
	}
	d.tasks.changed(c)
	d.groups.changedTopics(now, c.Deleted)
}

// replace publishes a new set of residents, stops those that left and starts those that came.
func (d *directory) replace(start, stop []placement.Hosted) {
	before, after := d.here.Load(), newResidents()
	for _, p := range before.byID {
		after.add(p)
	}
	for _, h := range stop {
		delete(after.byID, h.Replica)
		delete(after.at, h.Partition)
	}
	fresh := make([]*placed, len(start))
	for i, h := range start {
		fresh[i] = newPlaced(h)
		after.add(fresh[i])
	}
	d.here.Store(after)
	d.store.SetLive(maps.Keys(after.byID))
	for _, h := range stop {
		d.system.Stop(replica.KindName, replica.Name(h.Replica))
		if p := before.byID[h.Replica]; p != nil && p.readOnly.Load() {
			d.system.Stop(readOnlyKind, replica.Name(h.Replica))
		}
	}
	for _, p := range fresh {
		if err := d.activate(p); err != nil {
			d.log.Error("replica not started", "topic", p.topic.Name, "partition", p.tp.Partition, "err", err)
		}
	}
}

// reconfigure passes a topic's changed configuration to a replica that stays.
func (d *directory) reconfigure(h placement.Hosted) {
	p := d.here.Load().byID[h.Replica]
	if s := settingsOf(h.Topic); p != nil && *p.settings.Swap(&s) != s {
		if ref := p.ref.Load(); ref != nil {
			ref.Tell(partition.Configure{Settings: s})
		}
	}
}

func (d *directory) activate(p *placed) error {
	ref, err := d.system.Activate(replica.KindName, replica.Name(p.id), 1)
	if err != nil {
		return err
	}
	p.ref.Store(&ref)
	return nil
}

// stopped hears of a replica that ended by itself. Its view has gone with it: clients are told that it has no
// leader.
func (d *directory) stopped(id actors.Identity, err error) {
	p := d.named(id.Name)
	if p == nil || err == nil {
		return
	}
	topic := "metadata"
	if p.topic != nil {
		topic = p.topic.Name
	}
	p.view.Store(nil)
	p.failed.Store(&err)
	d.log.Error("replica stopped", "topic", topic, "partition", p.tp.Partition, "identity", id.Name,
		"code", fault.CodeOf(err).String(), "err", err)
	if fault.CodeOf(err) == fault.CorruptRecord && p.topic != nil && len(p.voters) == 1 {
		d.serveReadOnly(p)
	}
	p.endOnce.Do(func() { close(p.ended) })
}

// serveReadOnly serves what is left of a partition that damage has ended, which no other replica can mend.
func (d *directory) serveReadOnly(p *placed) {
	p.readOnly.Store(true)
	ref, err := d.system.Activate(readOnlyKind, replica.Name(p.id), 1)
	if err != nil {
		d.log.Error("damaged partition not served", "topic", p.topic.Name, "partition", p.tp.Partition, "err", err)
		return
	}
	p.ref.Store(&ref)
	if d.here.Load().byID[p.id] != p { // it was taken away in this moment, perhaps before there was anything to stop
		d.system.Stop(readOnlyKind, replica.Name(p.id))
	}
}

// name is how messages call the partition: "topic/3".
func (p *placed) name() string {
	if p.topic == nil {
		return "the metadata log"
	}
	return fmt.Sprintf("%s/%d", p.topic.Name, p.tp.Partition)
}

func newPlaced(h placement.Hosted) *placed {
	p := &placed{id: h.Replica, tp: h.Partition, topic: h.Topic, ended: make(chan struct{})}
	for _, peer := range h.Peers {
		p.voters = append(p.voters, peer.ID)
	}
	s := settingsOf(h.Topic)
	p.settings.Store(&s)
	return p
}

func settingsOf(t *placement.Topic) partition.Settings {
	return partition.Settings{
		Class: t.Config.Class(), LogAppendTime: t.Config.LogAppendTime, FlushMs: t.Config.FlushMs,
		RetentionMs: t.Config.RetentionMs, RetentionBytes: t.Config.RetentionBytes,
		Compact: t.Config.Compact, MinLagMs: t.Config.MinLagMs,
		DeleteRetentionMs: t.Config.DeleteRetentionMs, DirtyRatio: t.Config.DirtyRatio,
	}
}

func newResidents() *residents {
	return &residents{at: map[record.TopicPartition]*placed{}, byID: map[record.ReplicaID]*placed{}}
}
