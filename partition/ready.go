package partition

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

const maxTerm = 1<<31 - 1 // a leader epoch has 31 bits on the wire

// drain takes everything that raft has ready. Order inside one Ready: who leads, what is stored, what is
// committed, what is applied; so a commit that came with a lost leadership never acknowledges an entry that
// was replaced.
func (r *Replica) drain() {
	for r.stopped == nil && r.node.HasReady() {
		rd := r.node.Ready()
		r.takeRole(rd)
		var apply []raftpb.Message
		for i := range rd.Messages {
			switch m := rd.Messages[i]; m.To {
			case raft.LocalAppendThread:
				r.store(m)
			case raft.LocalApplyThread:
				apply = append(apply, m)
			default:
				if r.aside() && solicits(m) {
					continue
				}
				r.eff.Send = append(r.eff.Send, m)
				if m.Type == raftpb.MsgSnap {
					r.noteSnapshot(m.To)
				}
			}
		}
		if r.stopped != nil {
			return
		}
		if !raft.IsEmptyHardState(rd.HardState) {
			r.takeCommit(rd.HardState.Commit)
		}
		for _, m := range apply {
			r.apply(m)
		}
		for _, s := range rd.ReadStates {
			r.takeReadIndex(binary.BigEndian.Uint64(s.RequestCtx), s.Index)
		}
		now := r.immediate
		r.immediate = nil
		r.deliver(now)
	}
}

// takeRole notices a change of term or leader. Whoever waits for a leader that is no more is told so.
func (r *Replica) takeRole(rd raft.Ready) {
	term, lead, leading := r.term, r.lead, r.leading
	if rd.SoftState != nil {
		lead, leading = rd.SoftState.Lead, rd.SoftState.RaftState == raft.StateLeader
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		term = rd.HardState.Term
	}
	if term == r.term && lead == r.lead && leading == r.leading {
		return
	}
	must(term <= maxTerm, "raft term %d does not fit a leader epoch", term)
	lost := r.leading && (!leading || term != r.term)
	old := r.term
	r.term, r.lead, r.leading = term, lead, leading
	if lost {
		r.ready = false
		r.producers.Drop()
		r.dropRequests(fault.New(fault.NotLeader,
			"replica %d of %s stopped leading epoch %d before the end of the request was known",
			r.cfg.ID, r.cfg.Name, old).WithHint("the append may or may not be in the log: retry against the leader"))
		r.answerWatches()
	}
	if term != old {
		r.stable = 0
		r.trim.spans = nil // a follower's log may be cut and written again
	}
	r.viewStale = true
	r.cfg.Observer.LeaderChanged(record.Epoch(term), record.ReplicaID(lead), leading)
}

// store takes what raft wants durable into the log and into the write of this Step. Responses wait for that
// write, or, where nothing in it needs to be durable, for the last one that does.
func (r *Replica) store(m raftpb.Message) {
	if m.Snapshot != nil {
		r.install(m.Snapshot)
	}
	if r.stopped != nil {
		return // what follows belongs to a log that is not here
	}
	for i := range m.Entries {
		e := r.open(m.Entries[i])
		r.write.add(e)
		r.log.Append(e)
	}
	if m.Term != 0 {
		r.write.dirty = true
		if m.Term != r.tail.Term || m.Vote != r.tail.Vote {
			r.write.sync, r.write.awaited = true, true
		}
		r.tail.Term, r.tail.Vote, r.tail.Commit = m.Term, m.Vote, m.Commit
	}
	switch last := r.lastAwaited(); {
	case r.write.awaited:
		r.write.responses = append(r.write.responses, m.Responses...)
	case last != nil:
		last.responses = append(last.responses, m.Responses...)
	default:
		r.immediate = append(r.immediate, m.Responses...)
	}
}

// open finds the entry that was sealed or verified in this Step, or makes the frame of raft's own empty
// entry.
func (r *Replica) open(m raftpb.Entry) state.Entry {
	if m.Type != raftpb.EntryNormal {
		must(false, "entry %d changes the membership, which this version never proposes", m.Index)
	}
	for i := range r.opened {
		if e := r.opened[i]; e.Index == m.Index && len(m.Data) > 0 && &e.Frame[0] == &m.Data[0] {
			if e.Term != m.Term {
				must(false, "entry %d of term %d was sealed for term %d", m.Index, m.Term, e.Term)
			}
			if e.Type == state.EntryCompacted {
				break // its offsets follow from what is here
			}
			return e
		}
	}
	prev, ok := r.log.At(m.Index - 1)
	must(ok, "entry %d follows one that is not in memory", m.Index)
	e, err := raftlog.FromRaft(m, prev)
	must(err == nil, "entry %d from raft: %v", m.Index, err)
	return e
}

// deliver hands responses of the storage to raft, or to the peers they are for.
func (r *Replica) deliver(responses []raftpb.Message) {
	for _, m := range responses {
		if m.To != uint64(r.cfg.ID) {
			r.eff.Send = append(r.eff.Send, m)
			continue
		}
		if err := r.node.Step(m); err != nil {
			r.cfg.Observer.Dropped("storage response that raft refused")
		}
	}
}

// takeCommit moves the high watermark.
func (r *Replica) takeCommit(commit uint64) {
	if commit > r.commit {
		for i := r.commit + 1; i <= commit; i++ {
			e, ok := r.log.At(i)
			if !ok {
				must(false, "committed entry %d is not in memory", i)
			}
			r.countWatches(e)
			r.commitEnd = e.Next()
		}
		r.commit = commit
		r.viewStale = true
		r.release(onCommit, commit)
	}
}

// apply feeds committed entries to the machine and the producer table, and tells raft so at once: both are
// memory.
func (r *Replica) apply(m raftpb.Message) {
	for i := range m.Entries {
		e, ok := r.log.At(m.Entries[i].Index)
		if !ok || e.Index != r.applied+1 || e.Term != m.Entries[i].Term {
			must(false, "apply %d behind %d", m.Entries[i].Index, r.applied)
		}
		answer, err := r.applyOne(e)
		if err != nil {
			must(false, "apply entry %d: %v", e.Index, err)
		}
		r.applied = e.Index
		r.releaseApplied(e.Index, answer)
		r.releaseTrims(e.Index)
		r.countApplied(e)
	}
	r.log.SetApplied(r.applied)
	r.lookSooner()
	// Applied, not only committed: before that the producer table lacks what older leaders appended, and a
	// retry of it would be taken for new.
	if term, _ := r.log.Term(r.applied); r.leading && !r.ready && term == r.term {
		r.ready = true
		r.viewStale = true
		r.lookLater()
	}
	r.deliver(m.Responses)
	r.answerQueries()
	if r.snapshotDue() {
		r.takeSnapshot()
	}
}

// snapshotDue weighs the replay that a snapshot saves against writing it: a large one is taken less often, so
// that snapshots never are more than a quarter of what is written.
func (r *Replica) snapshotDue() bool {
	s := r.sinceSnapshot
	enough := s.entries >= r.cfg.SnapshotEntries || s.bytes >= r.cfg.SnapshotBytes
	return enough && s.bytes >= 4*s.size
}

// takeSnapshot puts the state as of the applied entry into the next write.
func (r *Replica) takeSnapshot() {
	producers, machine := r.snapshots()
	r.write.row(RowProducers, producers)
	if machine != nil {
		r.write.row(RowMachine, machine)
	}
	r.snapped = included{producers: max(r.applied, r.has.producers), machine: max(r.applied, r.has.machine)}
	size := len(producers) + len(machine)
	r.sinceSnapshot.entries, r.sinceSnapshot.bytes, r.sinceSnapshot.size = 0, 0, size
}

// snapshots encodes what the producer table and the machine hold: everything applied, and more where it came
// from a snapshot of another replica. The second is nil without a machine.
func (r *Replica) snapshots() (producers, machine []byte) {
	producers = snapshotRow(max(r.applied, r.has.producers), r.producers.Snapshot())
	if r.cfg.Machine != nil {
		machine = snapshotRow(max(r.applied, r.has.machine), r.cfg.Machine.Snapshot())
	}
	return producers, machine
}

// applyOne takes one committed entry into everything that follows from the log, leaving out what a snapshot
// brought. answer is what the machine said.
func (r *Replica) applyOne(e state.Entry) (answer, err error) {
	switch e.Type {
	case state.EntryTrim:
		return nil, r.applyTrim(e)
	case state.EntryClean:
		return nil, r.applyClean(e)
	case state.EntryFence:
		return nil, r.applyFence(e)
	case state.EntryCompacted:
		return nil, nil
	}
	if e.Index > r.has.producers {
		if err := r.applyProducers(e); err != nil {
			return nil, err
		}
	}
	if r.cfg.Machine != nil && e.Index > r.has.machine && !emptied(e) {
		answer = r.cfg.Machine.Apply(e)
		r.eff.Applied = true
	}
	return answer, nil
}

func (r *Replica) countApplied(e state.Entry) {
	r.sinceSnapshot.entries++
	r.sinceSnapshot.bytes += len(e.Frame)
}

// applyProducers notes the batches of a committed entry.
func (r *Replica) applyProducers(e state.Entry) error {
	if e.Type != state.EntryRecords {
		return nil
	}
	for rest := e.Payload(); len(rest) > 0; {
		var b record.Batch
		var err error
		if b, rest, err = record.Next(rest); err != nil {
			return fmt.Errorf("entry %d: %w", e.Index, err)
		}
		r.producers.Apply(b, e.Index, e.AppendTimeMs)
	}
	return nil
}

// askWanted emits the read that a lagging follower waits for.
func (r *Replica) askWanted() {
	if r.node == nil || r.fetching || r.stopped != nil {
		return
	}
	if lo, hi, ok := r.log.Wanted(); ok {
		r.fetching = true
		r.eff.Read = &Read{Lo: lo, Hi: hi, MaxBytes: readAhead}
	}
}
