package task

import (
	"sort"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// origin is what an output record is needed for if it is refused.
type origin struct {
	node   *plan.Node
	store  *plan.Store     // its changelog takes the record
	input  *inputPartition // nil: a punctuation made it
	offset record.Offset   // of the input record
	dead   bool            // it is a dead letter
}

// origins are those of the records of a batch. Records in a row differ in nothing but the offset, nearly always: what
// they have in common is kept once, and the rest has no pointers for the garbage collector to look at.
type origins struct {
	offsets []record.Offset // by record
	runs    []originRun
}

// originRun is records in a row that have all but the offset in common.
type originRun struct {
	origin
	to int // behind the last of them
}

func (o *origins) len() int { return len(o.offsets) }

func (o *origins) add(from *origin) {
	o.offsets = append(o.offsets, from.offset)
	if last := len(o.runs) - 1; last >= 0 {
		r := &o.runs[last]
		if r.node == from.node && r.store == from.store && r.input == from.input && r.dead == from.dead {
			r.to++
			return
		}
	}
	o.runs = append(o.runs, originRun{origin: *from, to: len(o.offsets)})
}

// at returns the origin of record i.
func (o *origins) at(i int) origin {
	k := sort.Search(len(o.runs), func(k int) bool { return i < o.runs[k].to })
	from := o.runs[k].origin
	from.offset = o.offsets[i]
	return from
}

// keep forgets all but the first n.
func (o *origins) keep(n int) {
	o.offsets = o.offsets[:n]
	for last := len(o.runs) - 1; last >= 0; last-- {
		from := 0
		if last > 0 {
			from = o.runs[last-1].to
		}
		if from < n {
			o.runs[last].to = n
			return
		}
		o.runs = o.runs[:last]
	}
}

// emptied returns none, with the memory of o.
func (o origins) emptied() origins {
	clear(o.runs)
	return origins{offsets: o.offsets[:0], runs: o.runs[:0]}
}
