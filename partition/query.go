package partition

import (
	"encoding/binary"
	"slices"

	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
)

// Producers is the question of a Query for the idempotent producers that have written to the replica; answered
// by a []producer.Active, ascending by id. It needs no machine.
type Producers struct{}

// query is a question to the machine, or for the producers. It may be answered once applied ≥ at, where at is known.
type query struct {
	Query
	round uint64 // the ReadIndex that stands for it, 0 while none does
	at    uint64
	known bool
}

// readIndex is the one question to the peers under way: all queries that came before it share it.
type readIndex struct {
	asked    uint64 // number of the newest round
	underWay bool
}

func (r *Replica) onQuery(in Query) {
	_, producers := in.Question.(Producers)
	switch {
	case r.cfg.Machine == nil && !producers:
		r.refuse(in.Req, fault.New(fault.InvalidRequest, "%s has no machine that answers questions", r.cfg.Name))
	case !r.leading:
		r.refuse(in.Req, r.notLeader())
	case len(r.queries) >= maxQueries:
		r.refuse(in.Req, fault.New(fault.ThrottlingQuotaExceeded, "%d questions wait in front of %s already",
			len(r.queries), r.cfg.Name).WithHint("slow down and try again"))
	default:
		r.queries = append(r.queries, query{Query: in})
		r.due(in.Deadline)
	}
}

// askReadIndex asks raft how far the log must be applied for all queries that have not asked yet. Before an
// entry of this term is committed the answer could be too old, so they wait.
func (r *Replica) askReadIndex() {
	if !r.ready || r.reading.underWay || len(r.queries) == 0 || r.queries[len(r.queries)-1].round != 0 {
		return
	}
	r.reading.asked++
	r.reading.underWay = true
	for i := range r.queries {
		if r.queries[i].round == 0 {
			r.queries[i].round = r.reading.asked
		}
	}
	r.node.ReadIndex(binary.BigEndian.AppendUint64(nil, r.reading.asked))
}

func (r *Replica) takeReadIndex(round, index uint64) {
	if round == r.reading.asked {
		r.reading.underWay = false
	}
	for i := range r.queries {
		if q := &r.queries[i]; q.round != 0 && q.round <= round && !q.known {
			q.at, q.known = index, true
		}
	}
	r.answerQueries()
}

func (r *Replica) answerQueries() {
	if len(r.queries) == 0 {
		return
	}
	r.queries = slices.DeleteFunc(r.queries, func(q query) bool {
		if !q.known || q.at > r.applied {
			return false
		}
		r.reply(Reply{Req: q.Req, Base: segment.NoOffset, AppendTimeMs: -1, Answer: r.answer(q.Question)})
		return true
	})
}

func (r *Replica) answer(question any) any {
	if _, ok := question.(Producers); ok {
		return r.producers.Active(r.now.UnixMilli())
	}
	return r.cfg.Machine.Query(question)
}
