package broker

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Replica is how to reach a replica that lives on this member: its actor, and what readers may see of it. The
// view is nil until the replica has loaded its log, and again once it has stopped.
type Replica struct {
	Ref  actors.Ref
	View *atomic.Pointer[segment.View]
	Err  error // why there is no view and will be none; nil while there is hope
}

// Directory finds what lives on this member. It is safe for concurrent use and does not block.
type Directory interface {
	Replica(record.TopicPartition) (Replica, bool)
	Controller() (actors.Ref, bool)
	GroupDirectory
}

// Config is what a Broker works with. All fields are required.
type Config struct {
	Self      record.MemberID
	Table     *atomic.Pointer[placement.Table]
	Directory Directory
	Store     state.LogStore
	Submit    func(job func()) error // runs a job that may block, on a bounded pool; an error means that it will not run
	Now       func() time.Time
	Logger    *slog.Logger // says when the disk is full, and when it is not any more

	AutoCreate   bool
	MemberConfig func() []config.Entry // what DescribeConfigs tells of this member

	// Volume is where the logs are, the size of its volume and what may still be written there in bytes, -1 where
	// nobody knows. It may block.
	Volume func() (path string, total, usable int64)
}

// Broker implements Port over the replicas of this member.
type Broker struct {
	c       Config
	watches atomic.Uint64 // last watch id given
	full    atomic.Bool   // the last write was refused for lack of room
	sizes   sizes
}

var _ Port = (*Broker)(nil)

// New makes a Broker.
func New(c Config) *Broker { return &Broker{c: c} }

// Table implements Port.
func (b *Broker) Table() *placement.Table { return b.c.Table.Load() }

// Self implements Port.
func (b *Broker) Self() record.MemberID { return b.c.Self }

// Controller implements Port. The metadata log has one voter, this member.
func (b *Broker) Controller() record.MemberID { return b.c.Self }

// AutoCreate implements Port.
func (b *Broker) AutoCreate() bool { return b.c.AutoCreate }

// Leader implements Port. A partition with a single replica is led by it as soon as it is up, so that replica
// is named even before it has answered.
func (b *Broker) Leader(tp record.TopicPartition) Leadership {
	t := b.Table().ByID[tp.Topic]
	if t == nil || int(tp.Partition) >= len(t.Partitions) || tp.Partition < 0 {
		return Leadership{}
	}
	replicas := t.Partitions[tp.Partition].Replicas
	if r, ok := b.c.Directory.Replica(tp); ok {
		if v := r.View.Load(); v != nil {
			for _, p := range replicas {
				if p.ID == v.LeaderReplica {
					return Leadership{Member: p.Member, Epoch: v.Epoch, Known: true}
				}
			}
		}
	}
	if len(replicas) == 1 {
		return Leadership{Member: replicas[0].Member, Epoch: record.NoEpoch, Known: true}
	}
	return Leadership{}
}

// topic finds a topic by id where one is given, else by name.
func (b *Broker) topic(name string, id record.TopicID) (*placement.Topic, error) {
	t := b.Table()
	if !id.IsZero() {
		if found := t.ByID[id]; found != nil {
			return found, nil
		}
		return nil, fault.New(fault.UnknownTopicID, "no topic has the id %s", id).
			WithHint("the topic may have been deleted or made again: refresh the metadata")
	}
	if found := t.Topics[name]; found != nil {
		return found, nil
	}
	return nil, fault.New(fault.UnknownTopicOrPartition, "topic %q does not exist", name).
		WithHint("create it, or check the name with a topic listing")
}

// route finds the replica of a partition on this member.
func (b *Broker) route(name string, id record.TopicID, p record.Partition) (*placement.Topic, Replica, error) {
	t, err := b.topic(name, id)
	if err != nil {
		return nil, Replica{}, err
	}
	if p < 0 || int(p) >= len(t.Partitions) {
		return t, Replica{}, fault.New(fault.UnknownTopicOrPartition, "topic %q has no partition %d, it has %d",
			t.Name, p, len(t.Partitions)).WithHint("partitions are numbered from 0")
	}
	r, ok := b.c.Directory.Replica(record.TopicPartition{Topic: t.ID, Partition: p})
	if !ok {
		return t, Replica{}, fault.New(fault.LeaderNotAvailable, "partition %s/%d is not up on this member", t.Name, p).
			WithHint("retry: it is starting or moving")
	}
	return t, r, nil
}

// view routes to a partition and returns what readers may see of it, refusing a reader whose leader epoch is
// not this replica's (KIP-320).
func (b *Broker) view(name string, id record.TopicID, p record.Partition, epoch record.Epoch) (
	*segment.View, Replica, error) {
	t, r, err := b.route(name, id, p)
	if err != nil {
		return nil, r, err
	}
	v := r.View.Load()
	if v == nil && r.Err != nil {
		return nil, r, fault.New(fault.CodeOf(r.Err), "partition %s/%d cannot be read: %w", t.Name, p, r.Err)
	}
	if v == nil {
		return nil, r, fault.New(fault.LeaderNotAvailable, "partition %s/%d is loading its log", t.Name, p).
			WithHint("retry in a moment")
	}
	switch {
	case epoch == record.NoEpoch || epoch == v.Epoch:
		return v, r, nil
	case epoch < v.Epoch:
		return nil, r, fault.New(fault.FencedLeaderEpoch, "leader epoch %d of %s/%d is over, it is %d",
			epoch, t.Name, p, v.Epoch).WithHint("refresh the metadata")
	}
	return nil, r, fault.New(fault.UnknownLeaderEpoch, "leader epoch %d of %s/%d is not known here yet, it is %d",
		epoch, t.Name, p, v.Epoch).WithHint("retry in a moment")
}
