package partition

import (
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/proto/record"
)

// onTransferLeader hands the leadership on. Raft gives up after an election timeout.
func (r *Replica) onTransferLeader(in TransferLeader) {
	if r.node == nil || !r.leading {
		r.cfg.Observer.Dropped("leadership to hand on that is not here")
		return
	}
	to := in.To
	if to == 0 {
		to = r.successor()
	}
	if to != 0 && to != r.cfg.ID && slices.Contains(r.conf.Voters, uint64(to)) {
		r.node.TransferLeader(uint64(to))
	}
}

// successor is the voter that was heard of lately and has most of the log, or 0.
func (r *Replica) successor() record.ReplicaID {
	best, match := uint64(0), uint64(0)
	for _, id := range r.conf.Voters { // in order, so that equals are not a matter of luck
		p := r.node.Status().Progress[id]
		if id != uint64(r.cfg.ID) && p.RecentActive && p.Match > match {
			best, match = id, p.Match
		}
	}
	return record.ReplicaID(best)
}

// onDamaged hears from who reads the store.
func (r *Replica) onDamaged(in Damaged) {
	if r.node == nil {
		return // the replay will meet it, or need not
	}
	r.spoil(in.Err)
}

// spoil notes that an entry of this replica can't be read. It goes on to take part, because what others need
// of it is in memory or elsewhere, but it does not lead any more where somebody else can: a leader would have
// to send that entry one day. It is healed by being made again from the others.
func (r *Replica) spoil(err error) {
	if r.damage == nil {
		r.damage = err
		r.cfg.Logger.Error("the log of a replica is damaged", "partition", r.cfg.Name, "replica", uint64(r.cfg.ID),
			"leads", !r.aside(), "err", err)
		r.stepAside()
	}
}

// aside reports whether this replica leaves leading to others.
func (r *Replica) aside() bool { return r.damage != nil && len(r.conf.Voters) > 1 }

// stepAside hands on the leadership of a damaged replica; again at each tick, because it may fail.
func (r *Replica) stepAside() {
	if r.aside() && r.leading && r.node.BasicStatus().LeadTransferee == raft.None {
		r.onTransferLeader(TransferLeader{})
	}
}

// solicits reports whether a message asks others to make this replica the leader. A damaged one never sends
// it: it stays a candidate that nobody hears of until another leads.
func solicits(m raftpb.Message) bool {
	return m.Type == raftpb.MsgVote || m.Type == raftpb.MsgPreVote
}
