package engine

import (
	"sync"

	"github.com/millstream-io/millstream/proto/record"
)

// Values of one log stand far apart in a frame file, and the disk's own read-ahead would bring what is between
// them. So whoever reads a value that is not in memory asks for the next ones of its log too.
const (
	aheadBytes = 1 << 20
	aheadMost  = 256 // logs of a bucket that are remembered; more readers help each other
)

// lookAhead remembers what has been asked for.
type lookAhead struct {
	mu    sync.Mutex
	asked map[record.ReplicaID]askedFor
}

// askedFor is a range of a log's indexes.
type askedFor struct{ from, through uint64 }

// wanted reports whether nobody has asked for an index yet.
func (a *lookAhead) wanted(id record.ReplicaID, index uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	got, ok := a.asked[id]
	return !ok || index < got.from || index > got.through
}

func (a *lookAhead) note(id record.ReplicaID, got askedFor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked == nil || len(a.asked) >= aheadMost {
		a.asked = map[record.ReplicaID]askedFor{}
	}
	a.asked[id] = got
}

// lookAhead asks for an entry and for those behind it. It is a hint: what goes wrong is left to the read.
func (b *frameBucket) lookAhead(r stored) {
	if keyKind(r.key) != kindEntry {
		return
	}
	id, index := keyReplica(r.key), keyIndex(r.key)
	if !b.ahead.wanted(id, index) {
		return
	}
	got, left := askedFor{index, index}, int64(aheadBytes)
	from, to := r.at, r.at+int64(r.size) // asked for together, where values touch
	_ = b.rows.scan(r.key[:keyAtIndex], r.key, func(n stored) (bool, error) {
		if !n.large {
			return true, nil
		}
		if n.at != to && n.at != from {
			willNeed(b.frames.r, from, to-from)
			from = n.at
		}
		to = n.at + int64(n.size)
		got.through = keyIndex(n.key)
		left -= int64(n.size)
		return left > 0, nil
	})
	willNeed(b.frames.r, from, to-from)
	b.ahead.note(id, got)
}
