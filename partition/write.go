package partition

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// building is the write of the Step that runs now.
type building struct {
	entries   []state.Entry
	rows      []state.Row
	responses []raftpb.Message
	bytes     int  // of the frames of entries
	dirty     bool // there is something to write
	records   bool // it has records, which the topic may let be durable later
	sync      bool // it must be made durable soon
	awaited   bool // and raft's responses wait for it: entries, term or vote
}

// add appends an entry; where it overlaps what this Step already wanted written, it replaces that tail.
func (w *building) add(e state.Entry) {
	for n := len(w.entries); n > 0 && w.entries[n-1].Index >= e.Index; n-- {
		w.entries = w.entries[:n-1]
	}
	w.entries = append(w.entries, e)
	w.bytes += len(e.Frame)
	w.dirty, w.awaited = true, true
	if e.Type == state.EntryRecords {
		w.records = true
	} else {
		w.sync = true
	}
}

// row carries a row; a newer one of its kind replaces it.
func (w *building) row(kind uint8, value []byte) {
	w.rows = slices.DeleteFunc(w.rows, func(r state.Row) bool { return r.Kind == kind })
	w.rows = append(w.rows, state.Row{Kind: kind, Value: value})
}

// issued is a write on its way to the store.
type issued struct {
	Persist
	term      uint64 // raft's term when it was issued
	awaited   bool
	done      bool
	full      bool // the disk had no room for it
	responses []raftpb.Message
}

// fullRetry is how long a replica waits before it writes again what a full disk refused.
const fullRetry = time.Second

// issueWrite emits what the Step wants written as one Persist, with the tail row always.
func (r *Replica) issueWrite() {
	if r.stopped != nil || r.full != nil && !r.retry() {
		return
	}
	w := &r.write
	if !w.dirty {
		return
	}
	if r.log.TakeTermsChanged() {
		w.row(RowTerms, raftlog.EncodeTerms(r.log.Terms()))
		r.rebuildEpochs()
	}
	end := r.log.End()
	r.tail.Last, r.tail.LastTerm = end.Index, end.Term
	if len(r.writes) == 0 {
		r.class = r.cfg.Settings.Class // the order of writes is kept within a class only
	}
	sync, within := r.howSoon()
	r.token++
	p := Persist{Token: r.token, Class: r.class, Write: state.Write{
		Replica: r.cfg.ID, By: r.cfg.Incarnation, Tail: r.tail, Entries: raftlog.Roll(w.entries), Carried: w.rows,
		Sync: sync, Within: within,
	}}
	r.eff.Persist = append(r.eff.Persist, p)
	r.writes = append(r.writes, issued{Persist: p, term: r.term, awaited: w.awaited, responses: w.responses})
	*w = building{}
}

// howSoon says when the write of this Step must be durable: at once, or, where it only has records of a topic that
// wants it so, after a time.
func (r *Replica) howSoon() (sync bool, within time.Duration) {
	w, s := &r.write, r.cfg.Settings
	relaxed := r.class == state.ClassRelaxed && s.Class == r.class && s.FlushMs > 0
	if w.records && relaxed && !w.sync {
		return false, time.Duration(s.FlushMs) * time.Millisecond
	}
	return w.sync || w.records, 0
}

// retry issues everything again that a full disk refused, as it was and in order, once all that was under way
// has come back. Nothing else was issued meanwhile: the store refuses what builds on a refused write.
func (r *Replica) retry() bool {
	for i := range r.writes {
		if !r.writes[i].done {
			return false
		}
	}
	if r.now.Before(r.retryAt) {
		r.due(r.retryAt)
		return false
	}
	r.full = nil
	for i := range r.writes {
		w := &r.writes[i]
		r.token++
		w.Token, w.done, w.full = r.token, false, false
		r.eff.Persist = append(r.eff.Persist, w.Persist)
	}
	return true
}

// lastAwaited is the newest write under way that raft's responses wait for, or nil.
func (r *Replica) lastAwaited() *issued {
	for i := len(r.writes) - 1; i >= 0; i-- {
		if r.writes[i].awaited {
			return &r.writes[i]
		}
	}
	return nil
}

// onPersisted releases writes in the order in which they were issued, whatever order their ends came in.
func (r *Replica) onPersisted(in Persisted) {
	if in.By != r.cfg.Incarnation {
		r.cfg.Observer.Dropped("persisted by an older incarnation")
		return
	}
	if errors.Is(in.Err, fault.DiskFull) {
		r.full, r.retryAt = in.Err, r.now.Add(fullRetry)
		r.refuseUnderWay()
	} else if in.Err != nil {
		r.stop(fmt.Errorf("write %d of replica %d of %s: %w", in.Token, r.cfg.ID, r.cfg.Name, in.Err))
		return
	}
	for i := range r.writes {
		if r.writes[i].Token == in.Token {
			r.writes[i].done, r.writes[i].full = true, in.Err != nil
		}
	}
	for len(r.writes) > 0 && r.writes[0].done && !r.writes[0].full {
		w := r.writes[0]
		r.writes[0] = issued{}
		r.writes = behind(r.writes, 1)
		if len(w.Write.Entries) > 0 {
			r.persisted = true
		}
		if w.Class != state.ClassRelaxed || w.Write.Sync {
			r.durable.note(w.Write)
		}
		// Entries of an older term may have been replaced since: only this term's count for acks 1.
		if w.term == r.term {
			r.stable = max(r.stable, w.Write.Tail.Last)
			r.release(onDurable, r.stable)
		}
		if r.node != nil {
			r.deliver(w.responses)
		}
	}
}

// unpersisted reports whether an entry of this partition is on its way to the store.
func (r *Replica) unpersisted() bool {
	if len(r.write.entries) > 0 {
		return true
	}
	for i := range r.writes {
		if len(r.writes[i].Write.Entries) > 0 {
			return true
		}
	}
	return false
}
