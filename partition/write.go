package partition

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/state"
)

// building is the write of the Step that runs now.
type building struct {
	entries   []state.Entry
	rows      []state.Row
	responses []raftpb.Message
	dirty     bool // there is something to write
	sync      bool // and it must be durable before responses go out
}

// add appends an entry; where it overlaps what this Step already wanted written, it replaces that tail.
func (w *building) add(e state.Entry) {
	for n := len(w.entries); n > 0 && w.entries[n-1].Index >= e.Index; n-- {
		w.entries = w.entries[:n-1]
	}
	w.entries = append(w.entries, e)
	w.dirty, w.sync = true, true
}

// issued is a write on its way to the store.
type issued struct {
	token     uint64
	term      uint64 // raft's term when it was issued
	last      uint64
	entries   bool
	sync      bool
	done      bool
	responses []raftpb.Message
}

// issueWrite emits what the Step wants written as one Persist, with the tail row always.
func (r *Replica) issueWrite() {
	w := &r.write
	if !w.dirty || r.stopped != nil {
		return
	}
	if r.log.TakeTermsChanged() {
		w.rows = append(w.rows, state.Row{Kind: RowTerms, Value: raftlog.EncodeTerms(r.log.Terms())})
		r.rebuildEpochs()
	}
	end := r.log.End()
	r.tail.Last, r.tail.LastTerm = end.Index, end.Term
	if len(r.writes) == 0 {
		r.class = r.cfg.Settings.Class // the order of writes is kept within a class only
	}
	r.token++
	r.eff.Persist = append(r.eff.Persist, Persist{Token: r.token, Class: r.class, Write: state.Write{
		Replica: r.cfg.ID, By: r.cfg.Incarnation, Tail: r.tail, Entries: w.entries, Carried: w.rows, Sync: w.sync,
	}})
	r.writes = append(r.writes, issued{
		token: r.token, term: r.term, last: end.Index, entries: len(w.entries) > 0, sync: w.sync, responses: w.responses,
	})
	*w = building{}
}

// lastSyncWrite is the newest write under way that must be durable, or nil.
func (r *Replica) lastSyncWrite() *issued {
	for i := len(r.writes) - 1; i >= 0; i-- {
		if r.writes[i].sync {
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
	if in.Err != nil {
		r.stop(fmt.Errorf("write %d of replica %d of %s: %w", in.Token, r.cfg.ID, r.cfg.Group, in.Err))
		return
	}
	for i := range r.writes {
		if r.writes[i].token == in.Token {
			r.writes[i].done = true
		}
	}
	for len(r.writes) > 0 && r.writes[0].done {
		w := r.writes[0]
		r.writes = r.writes[1:]
		if w.entries {
			r.persisted = true
		}
		// Entries of an older term may have been replaced since: only this term's count for acks 1.
		if w.term == r.term {
			r.stable = max(r.stable, w.last)
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
		if r.writes[i].entries {
			return true
		}
	}
	return false
}
