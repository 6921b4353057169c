package partition

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/compaction"
	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

const startVersion = 2

// logStart is what a follower gets that needs entries from before the log's beginning: everything that
// followed from them, and no record. The snapshots may hold more than the entries before: what they hold is
// not applied again.
type logStart struct {
	offset    record.Offset
	terms     []raftlog.TermStart
	producers []byte // a snapshot row
	machine   []byte // one more, or nil
	marks     compaction.Marks
}

// startContent makes what raft's snapshot of the log's start carries.
func (r *Replica) startContent() []byte {
	s := logStart{offset: r.tail.LogStart, marks: r.clean.marks}
	for _, t := range r.log.Terms() {
		if t.Index < r.tail.First {
			s.terms = append(s.terms, t)
		}
	}
	s.producers, s.machine = r.snapshots()
	return s.encode()
}

// encode: version, offset, then terms, producers, machine and marks, each behind its length in four bytes,
// big-endian.
func (s logStart) encode() []byte {
	b := []byte{startVersion}
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	for _, part := range [][]byte{raftlog.EncodeTerms(s.terms), s.producers, s.machine, s.marks.Append(nil)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// decodeStart reads what encode wrote; the parts alias b. Error: fault.CorruptRecord.
func decodeStart(b []byte) (logStart, error) {
	if len(b) < 9 || b[0] != startVersion {
		return logStart{}, fault.New(fault.CorruptRecord, "log start in %d bytes, or not of version %d", len(b), startVersion)
	}
	s := logStart{offset: record.Offset(binary.BigEndian.Uint64(b[1:]))}
	b = b[9:]
	var parts [4][]byte
	for i := range parts {
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			return logStart{}, fault.New(fault.CorruptRecord, "log start ends inside its part %d", i)
		}
		n := binary.BigEndian.Uint32(b)
		parts[i], b = b[4:4+n], b[4+n:]
	}
	if len(b) > 0 || s.offset < 0 {
		return logStart{}, fault.New(fault.CorruptRecord, "log start %d with %d bytes behind it", s.offset, len(b))
	}
	if s.producers = parts[1]; len(parts[2]) > 0 {
		s.machine = parts[2]
	}
	var err error
	if s.marks, err = compaction.DecodeMarks(parts[3]); err != nil {
		return s, err
	}
	s.terms, err = raftlog.DecodeTerms(parts[0])
	return s, err
}

// fits reports whether a snapshot of a peer can be installed here, before raft sees it.
func (r *Replica) fits(m raftpb.Message) bool {
	if m.Snapshot == nil {
		return false
	}
	at := m.Snapshot.Metadata
	s, err := decodeStart(m.Snapshot.Data)
	if err != nil || s.terms[len(s.terms)-1].Index > at.Index || s.terms[len(s.terms)-1].Term != at.Term {
		return false
	}
	index, snapshot, err := splitSnapshotRow(s.producers)
	if err != nil || index < at.Index || producer.New().Restore(snapshot) != nil {
		return false
	}
	if r.cfg.Machine == nil {
		return true
	}
	index, _, err = splitSnapshotRow(s.machine)
	return err == nil && index >= at.Index
}

// install replaces the log by an empty one behind a peer's log start. Raft acknowledges it once the write is
// durable.
func (r *Replica) install(snap *raftpb.Snapshot) {
	at := snap.Metadata
	s, err := decodeStart(snap.Data)
	must(err == nil, "a snapshot that was let in: %v", err)
	conf, err := at.ConfState.Marshal()
	must(err == nil, "encode membership: %v", err)
	r.write.entries, r.write.bytes = nil, 0
	if err := r.installStates(s); err != nil {
		r.stop(fmt.Errorf("install the log start %d of %s on replica %d: %w", s.offset, r.cfg.Name, r.cfg.ID, err))
		return
	}
	r.tail.First, r.tail.LogStart = at.Index+1, max(r.tail.LogStart, s.offset)
	r.conf, r.tail.Conf, r.tail.ConfIndex = at.ConfState, conf, at.Index
	r.log.Reset(at.Index, at.ConfState, s.terms, r.tail.LogStart)
	r.applied, r.commit, r.commitEnd, r.stable = at.Index, at.Index, r.log.End().Next(), 0
	r.clean.marks, r.clean.waiting = s.marks, 0
	r.carryClean()
	// The peer may have held entries below its log start for others; they come here too.
	r.trim.behind, r.trim.holdUntil, r.trim.spans = true, r.now, nil
	r.lookLater()
	r.viewStale = true
	r.write.dirty, r.write.sync, r.write.awaited = true, true, true
	r.cfg.Logger.Info("log start installed", "partition", r.cfg.Name, "index", at.Index, "offset", r.tail.LogStart)
}

// installStates takes over producers and machine, unless an earlier snapshot brought more.
func (r *Replica) installStates(s logStart) error {
	index, snapshot, err := splitSnapshotRow(s.producers)
	if err != nil {
		return err
	}
	if index > r.has.producers {
		if err := r.producers.Restore(snapshot); err != nil {
			return err
		}
		r.write.row(RowProducers, s.producers)
		r.has.producers, r.snapped.producers = index, index
	}
	if r.cfg.Machine == nil {
		return nil
	}
	index, snapshot, err = splitSnapshotRow(s.machine)
	if err != nil {
		return err
	}
	if index > r.has.machine {
		if err := r.cfg.Machine.Restore(snapshot); err != nil {
			return err
		}
		r.write.row(RowMachine, s.machine)
		r.has.machine, r.snapped.machine, r.eff.Applied = index, index, true
	}
	return nil
}
