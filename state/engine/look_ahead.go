package engine

import (
	"sync"

	"github.com/millstream-io/millstream/proto/record"
)

// Values of one log stand far apart in a frame file, and the disk's own read-ahead would bring what is between
// them. So whoever reads a value that is not in memory asks for the next ones of its log too.
//
// A crowd, many logs that are read at a time, wants most of what is between them as well: then it asks for whole
// blocks of the file, which is less work for the disk and the kernel. A block has to be paid, with bytes that
// were read from blocks asked for before, or from what each log of the crowd is trusted with. So a crowd that
// wants little of the file goes back to asking for its own.
const (
	aheadBytes  = 1 << 20 // of a log, and the size of a block
	aheadMost   = 1024    // misses after which it is counted anew which logs are read
	crowdFrom   = 32      // logs
	trustBytes  = aheadBytes / 2
	payFactor   = 2   // a byte that is read pays for as many that are asked for
	blocksKnown = 512 // that were asked for last; what was before is asked for again when it is missing
)

// lookAhead remembers what has been asked for.
type lookAhead struct {
	mu     sync.Mutex
	asked  map[record.ReplicaID]askedFor
	misses int
	before int // logs that were read when it was counted last

	credit int64           // bytes that are paid for
	unused map[int64]int64 // by number of the block: bytes of it that nobody has read
	blocks []int64         // the blocks in unused, oldest first
}

// askedFor is a range of a log's indexes.
type askedFor struct{ from, through uint64 }

// miss notes that a value of a log is not in memory. It reports whether a crowd reads the bucket, and whether
// nobody has asked for the index yet.
func (a *lookAhead) miss(id record.ReplicaID, index uint64) (crowd, wanted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.misses++; a.misses > aheadMost || a.asked == nil {
		a.before, a.misses = len(a.asked), 0
		a.asked = map[record.ReplicaID]askedFor{}
	}
	got, ok := a.asked[id]
	if !ok {
		a.asked[id] = askedFor{from: 1} // nothing yet
	}
	return a.logsLocked() >= crowdFrom, !ok || index < got.from || index > got.through
}

// logsLocked is how many logs are read.
func (a *lookAhead) logsLocked() int { return max(len(a.asked), a.before) }

func (a *lookAhead) note(id record.ReplicaID, got askedFor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[id] = got
}

// block reports whether a block has to be asked for, and whether it will be there: it is, it has been asked
// for, or it can be paid.
func (a *lookAhead) block(n int64) (ask, there bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.unused[n]; known {
		return false, true
	}
	if a.credit+int64(a.logsLocked())*trustBytes < aheadBytes {
		return false, false
	}
	if a.unused == nil {
		a.unused = map[int64]int64{}
	}
	if len(a.blocks) == blocksKnown {
		delete(a.unused, a.blocks[0])
		a.blocks = append(a.blocks[:0], a.blocks[1:]...)
	}
	a.blocks, a.unused[n] = append(a.blocks, n), aheadBytes
	a.credit -= aheadBytes
	return true, true
}

// used pays with values that were read.
func (a *lookAhead) used(wants []wantedValue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.unused) == 0 {
		return
	}
	for _, w := range wants {
		n := w.at / aheadBytes
		if left, known := a.unused[n]; known && w.small == nil {
			paid := min(left, int64(w.size))
			a.unused[n] -= paid
			a.credit += payFactor * paid
		}
	}
}

// lookAhead asks for values of which the first one is not in memory, and for more. It is a hint: what goes
// wrong is left to the read.
func (b *frameBucket) lookAhead(key []byte, wants []wantedValue) {
	if keyKind(key) != kindEntry {
		return
	}
	id, first := keyReplica(key), wants[0]
	crowd, wanted := b.ahead.miss(id, first.index)
	if crowd && b.askBlocks(wants) {
		return
	}
	if wanted {
		b.ahead.note(id, b.askLog(id, first))
	}
}

// askBlocks asks for the blocks that values stand in, and reports whether that of the first one will be there.
func (b *frameBucket) askBlocks(wants []wantedValue) bool {
	for i, w := range wants {
		if w.small != nil {
			continue
		}
		for n := w.at / aheadBytes; n*aheadBytes < w.at+int64(w.size); n++ {
			ask, there := b.ahead.block(n)
			if ask {
				willNeed(b.frames.r, n*aheadBytes, aheadBytes)
			}
			if !there {
				return i > 0
			}
		}
	}
	return true
}

// askLog asks for a value and for those behind it in its log.
func (b *frameBucket) askLog(id record.ReplicaID, first wantedValue) askedFor {
	got, left := askedFor{first.index, first.index}, int64(aheadBytes)
	from, to := first.at, first.at+int64(first.size) // asked for together, where values touch
	key := makeKey(id, kindEntry, first.index)
	_ = b.rows.scan(key[:keyAtIndex], key, func(n stored) (bool, error) {
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
	return got
}
