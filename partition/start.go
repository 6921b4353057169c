package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// Kinds of carried rows of a replica.
const (
	RowTerms     = 1 // where each term starts
	RowProducers = 2 // producer snapshot
	RowMachine   = 3 // machine snapshot
	RowClean     = 4 // how far log compaction has come
)

const (
	snapshotRowVersion = 1
	snapshotRowHeader  = 9 // version, applied index
)

// included says up to which entry the producer table and the machine have everything from a snapshot.
type included struct{ producers, machine uint64 }

// openNew starts the log of a new group: behind a written start at index 1, term 1, on all its voters alike.
func (r *Replica) openNew() error {
	for _, id := range r.cfg.Voters {
		r.conf.Voters = append(r.conf.Voters, uint64(id))
	}
	slices.Sort(r.conf.Voters)
	conf, err := r.conf.Marshal()
	if err != nil {
		return fmt.Errorf("encode membership: %w", err)
	}
	r.tail = state.Tail{First: 2, Last: 1, LastTerm: 1, Term: 1, Commit: 1, Conf: conf, ConfIndex: 1}
	r.log = raftlog.New(r.tail, r.conf, []raftlog.TermStart{{Term: 1, Index: 1}}, 0, r.cfg.MaxTailCacheBytes)
	r.write.dirty, r.write.sync = true, true
	r.write.row(RowTerms, raftlog.EncodeTerms(r.log.Terms()))
	r.replay, r.has = r.tail.First, included{producers: 1, machine: 1}
	return nil
}

func (r *Replica) openExisting() error {
	r.tail = r.cfg.Tail
	if err := r.conf.Unmarshal(r.tail.Conf); err != nil {
		return fault.New(fault.CorruptRecord, "membership in the tail row: %w", err)
	}
	before := r.tail.First - 1
	r.has = included{producers: before, machine: before}
	var terms []raftlog.TermStart
	var err error
	for _, row := range r.cfg.Rows {
		switch row.Kind {
		case RowTerms:
			terms, err = raftlog.DecodeTerms(row.Value)
		case RowProducers:
			r.has.producers, err = r.openSnapshot(row.Value, r.producers.Restore)
			r.snapped.producers = r.has.producers
		case RowMachine:
			if r.cfg.Machine != nil {
				r.has.machine, err = r.openSnapshot(row.Value, r.cfg.Machine.Restore)
				r.snapped.machine = r.has.machine
			}
		case RowClean:
			err = r.openClean(row.Value)
		}
		if err != nil {
			return fmt.Errorf("carried row of kind %d: %w", row.Kind, err)
		}
	}
	if len(terms) == 0 || terms[0].Index > before {
		return fault.New(fault.CorruptRecord, "the term table of a log that starts at %d is missing or too short",
			r.tail.First)
	}
	if r.tail.Commit < before || r.tail.Commit > r.tail.Last {
		return fault.New(fault.CorruptRecord, "tail row commits %d of [%d, %d]", r.tail.Commit, r.tail.First, r.tail.Last)
	}
	if t := terms[len(terms)-1]; t.Index > r.tail.Last || t.Term != r.tail.LastTerm {
		return fault.New(fault.CorruptRecord, "term table ends with term %d at %d, the log with term %d at %d",
			t.Term, t.Index, r.tail.LastTerm, r.tail.Last)
	}
	r.log = raftlog.New(r.tail, r.conf, terms, r.tail.LogStart, r.cfg.MaxTailCacheBytes)
	r.durable = lasting{commit: r.tail.Commit, snapshots: r.snapped}
	from := r.has.producers
	if r.cfg.Machine != nil {
		from = min(from, r.has.machine)
	}
	// The last committed entry is needed in any case: it tells the high watermark.
	r.replay = max(min(from+1, r.tail.Commit), r.tail.First)
	return nil
}

// openSnapshot restores a snapshot row and returns the index it was taken at. That may lie behind the log: it
// was committed where it came from.
func (r *Replica) openSnapshot(row []byte, restore func([]byte) error) (uint64, error) {
	applied, snapshot, err := splitSnapshotRow(row)
	if err != nil {
		return 0, err
	}
	if applied < r.tail.First-1 {
		return 0, fault.New(fault.CorruptRecord, "snapshot of index %d before the log [%d, %d]",
			applied, r.tail.First, r.tail.Last)
	}
	r.sinceSnapshot.size += len(row)
	return applied, restore(snapshot)
}

func splitSnapshotRow(row []byte) (applied uint64, snapshot []byte, err error) {
	if len(row) < snapshotRowHeader || row[0] != snapshotRowVersion {
		return 0, nil, fault.New(fault.CorruptRecord, "snapshot row of %d bytes, or not of version %d",
			len(row), snapshotRowVersion)
	}
	return binary.BigEndian.Uint64(row[1:]), row[snapshotRowHeader:], nil
}

func snapshotRow(applied uint64, snapshot []byte) []byte {
	b := make([]byte, 1, snapshotRowHeader+len(snapshot))
	b[0] = snapshotRowVersion
	b = binary.BigEndian.AppendUint64(b, applied)
	return append(b, snapshot...)
}

// startReplay asks for the entries that are needed before raft may begin, or begins at once where there are
// none.
func (r *Replica) startReplay() {
	if r.replay > r.tail.Last {
		r.begin()
		return
	}
	r.eff.Read = &Read{Lo: r.replay, Hi: r.tail.Last + 1, MaxBytes: readChunk}
}

func (r *Replica) onLoaded(in Loaded) {
	if in.By != r.cfg.Incarnation {
		r.cfg.Observer.Dropped("loaded by an older incarnation")
		return
	}
	if r.node != nil {
		r.fetching = false
		if in.Err != nil && in.Lo < r.tail.First {
			in.Entries = nil // the log begins later than when it was asked for
		} else if in.Err != nil {
			in.Entries = nil
			r.readFailed(in.Err)
		}
		r.log.AddWindow(in.Lo, in.Entries)
		return
	}
	err := in.Err
	if err == nil {
		err = r.replayChunk(in.Entries)
	}
	if err != nil {
		r.stop(fmt.Errorf("replay replica %d of %s from entry %d: %w", r.cfg.ID, r.cfg.Name, r.replay, err))
		return
	}
	r.startReplay()
}

// readFailed notes that a lagging follower can't have what it needs from here.
func (r *Replica) readFailed(err error) {
	if r.damage == nil {
		r.cfg.Logger.Error("read for a lagging follower failed", "partition", r.cfg.Name, "err", err)
	}
	if errors.Is(err, fault.CorruptRecord) {
		r.spoil(err)
	}
}

// replayChunk feeds committed entries to producers and machine, and keeps the rest for raft.
func (r *Replica) replayChunk(entries []state.Entry) error {
	if len(entries) == 0 {
		return fault.New(fault.CorruptRecord, "entry %d is missing", r.replay)
	}
	for i, e := range entries {
		if err := r.belongs(e, i == 0); err != nil {
			return err
		}
		r.log.Restore(e)
		r.replay = e.Through() + 1
		if e.Index > r.tail.Commit {
			continue
		}
		// Whoever proposed it had the machine's answer in an earlier life.
		if _, err := r.applyOne(e); err != nil {
			return err
		}
		r.countApplied(e)
	}
	return nil
}

// belongs refuses an entry that is not the next to replay. A run may begin before it, where it is the first
// that was read.
func (r *Replica) belongs(e state.Entry, first bool) error {
	term, err := r.log.Term(r.replay)
	if err == nil && term == e.Term {
		term, err = r.log.Term(e.Through())
	}
	fits := e.Index == r.replay || first && e.Index < r.replay && e.Through() >= r.replay
	if err != nil || term != e.Term || !fits {
		return fault.New(fault.CorruptRecord, "entries %d to %d of term %d where entry %d of term %d belongs",
			e.Index, e.Through(), e.Term, r.replay, term)
	}
	return nil
}

// begin hands the log to raft. Everything committed was applied by now, so raft starts from there. A single
// voter campaigns at once: there is nobody whose silence it would have to wait for.
func (r *Replica) begin() {
	r.applied = r.tail.Commit
	end, ok := r.log.At(r.applied)
	must(ok, "the committed entry %d is not in memory", r.applied)
	r.commitEnd = end.Next()
	node, err := raft.NewRawNode(&raft.Config{
		ID: uint64(r.cfg.ID), ElectionTick: r.cfg.ElectionTicks, HeartbeatTick: r.cfg.HeartbeatTicks,
		Storage: r.log, Applied: r.applied, AsyncStorageWrites: true,
		MaxSizePerMsg: maxSizePerMsg, MaxCommittedSizePerReady: maxInflightBytes,
		MaxUncommittedEntriesSize: uint64(r.cfg.MaxUncommittedBytes),
		MaxInflightMsgs:           maxInflightMsgs, MaxInflightBytes: maxInflightBytes,
		CheckQuorum: true, PreVote: true, ReadOnlyOption: raft.ReadOnlySafe,
		DisableProposalForwarding: true, Logger: raftLogger{r.cfg.Logger.With("kind", "raft", "identity", r.cfg.Name)},
	})
	must(err == nil, "raft refuses its configuration: %v", err)
	r.node = node
	r.log.SetContent(r.startContent)
	if r.trim.behind = r.tail.LogStart > 0; r.trim.behind { // perhaps: a life may end before the log is cut off
		r.trim.lookAt = r.now
	}
	r.lookLater()
	r.tickAt = r.now.Add(r.cfg.TickInterval)
	r.viewStale = true
	if !r.ticks() {
		err := r.node.Campaign()
		must(err == nil, "campaign: %v", err)
	}
}

// onReceived steps a message of another replica. What can't be used is dropped: raft sends again.
func (r *Replica) onReceived(m raftpb.Message) {
	switch {
	case r.node == nil:
		r.cfg.Observer.Dropped("message before the replay was over")
		return
	case m.To != uint64(r.cfg.ID):
		r.cfg.Observer.Dropped("message for another replica")
		return
	case m.Type == raftpb.MsgProp, raft.IsLocalMsg(m.Type):
		r.cfg.Observer.Dropped("message of a type that members do not exchange")
		return
	case m.Type == raftpb.MsgTimeoutNow && r.aside():
		r.cfg.Observer.Dropped("leadership for a damaged replica")
		return
	case m.Type == raftpb.MsgSnap && !r.fits(m):
		r.cfg.Observer.Dropped("damaged snapshot")
		return
	}
	for i := range m.Entries {
		if m.Type != raftpb.MsgApp || len(m.Entries[i].Data) == 0 {
			continue
		}
		e, err := state.OpenFrame(m.Entries[i].Data)
		if err != nil || e.Index != m.Entries[i].Index || e.Term != m.Entries[i].Term || e.Through() != e.Index {
			r.cfg.Logger.Error("dropped a damaged entry of a peer", "partition", r.cfg.Name,
				"from", m.From, "index", m.Entries[i].Index, "err", err)
			r.cfg.Observer.Dropped("damaged entry")
			return
		}
		r.opened = append(r.opened, e)
	}
	if err := r.node.Step(m); err != nil {
		r.cfg.Observer.Dropped("message that raft refused")
	}
}
