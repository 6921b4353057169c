package engine

import (
	"sync/atomic"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// mostPlaces is how many readers of one log at a time are known.
const mostPlaces = 16

// readPlaces remembers where readers of a log have come to: who goes on from there need not look for it, which would
// read an entry that he does not want. Only committed entries are remembered: they are never truncated, so a
// place stays true until compaction or the log start passes it, and then it leads to what stands there instead.
type readPlaces struct {
	next atomic.Uint32
	at   [mostPlaces]atomic.Pointer[readPlace]
}

// readPlace is an entry that was read: its offsets, its index and the last one that it stands for.
type readPlace struct {
	base, last     record.Offset
	index, through uint64
}

// note remembers the last of the entries that a reader got.
func (p *readPlaces) note(v view, e state.Entry) {
	if through := e.Through(); through <= v.tail.Commit {
		p.at[p.next.Add(1)%mostPlaces].Store(&readPlace{e.Base, e.Last, e.Index, through})
	}
}

// find returns the index of the entry that holds offset o, or of the one that comes behind what was read.
func (p *readPlaces) find(v view, o record.Offset) (index uint64, ok bool) {
	for i := range p.at {
		at := p.at[i].Load()
		if at == nil || o < at.base || o > at.last+1 {
			continue
		}
		index = at.index
		if o > at.last {
			index = at.through + 1
		}
		if v.tail.First <= index && index <= v.tail.Last {
			return index, true
		}
	}
	return 0, false
}
