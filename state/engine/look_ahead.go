package engine

import (
	"sync"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Values of one log stand far apart in a frame file, and the disk's own read-ahead would bring what is between
// them. So whoever reads a value that is not in memory asks for the next ones of its log too.
//
// Who wants most of what is between them as well, a crowd that reads many logs at a time or the reader of the only
// busy log, asks for whole blocks of the file, which is less work for the disk and the processor. A block has to be
// paid, with bytes that were read from blocks asked for before, or from what is trusted in the beginning. So
// readers that want little of the file go back to asking for their own.
const (
	aheadBytes = 1 << 20 // of a log
	aheadMost  = 1024    // misses after which it is counted anew which logs are read
	trustBytes = blockBytes / 2
	payFactor  = 2               // a byte that is read pays for as many that are asked for
	mostCredit = 16 * blockBytes // what is paid above it is forgotten

	// blocksAhead are asked for in front of a reader, as far as they are paid: while he is busy with what he got, they
	// come. A group that is written meanwhile waits for all that was asked for before it: where somebody writes, there
	// are few.
	blocksAhead = 8
	fewAhead    = 2
)

// lookAhead remembers what has been asked for.
type lookAhead struct {
	mu     sync.Mutex
	asked  map[record.ReplicaID]askedFor
	misses int
	before int   // logs that were read when it was counted last
	credit int64 // bytes of blocks that are paid for
}

// askedFor is a range of a log's indexes.
type askedFor struct{ from, through uint64 }

// miss notes that a value of a log is not in memory. It reports whether nobody has asked for the index yet.
func (a *lookAhead) miss(id record.ReplicaID, index uint64) (wanted bool) {
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
	return !ok || index < got.from || index > got.through
}

func (a *lookAhead) note(id record.ReplicaID, got askedFor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[id] = got
}

// pay takes the price of a block and reports whether there was as much. Each log that is read is trusted with a
// part of it, and one that has most of the file to itself with all.
func (a *lookAhead) pay(dense bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	trusted := int64(max(len(a.asked), a.before)) * trustBytes
	if dense {
		trusted = max(trusted, 2*blockBytes)
	}
	if a.credit+trusted < blockBytes {
		return false
	}
	a.credit -= blockBytes
	return true
}

// earn notes that bytes of blocks were read.
func (a *lookAhead) earn(bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.credit = min(a.credit+payFactor*bytes, mostCredit)
}

// dense reports whether values, which follow each other in their log, have most of where they stand to
// themselves. One alone says so when it is large.
func dense(wants []wantedValue) bool {
	low, high, sum := int64(-1), int64(0), int64(0)
	for _, w := range wants {
		if w.small != nil {
			continue
		}
		if low < 0 {
			low = w.at
		}
		low, high, sum = min(low, w.at), max(high, w.at+int64(w.size)), sum+int64(w.size)
	}
	return sum >= blockBytes/8 && 2*sum > high-low
}

// fromBlocks fills to with what stands at the first value, where blocks have it. With the first value of a block
// the next ones are asked for.
func (b *frameBucket) fromBlocks(wants []wantedValue, to []byte) bool {
	ok, first, fresh := b.blocks.read(b.frames, to, wants[0].at)
	b.wentOn(wants, int64(len(to)), first, fresh)
	return ok
}

// lentBlocks is fromBlocks without a copy: it returns the pieces in which n bytes from the first value on stand, which
// the loan holds, or none.
func (b *frameBucket) lentBlocks(wants []wantedValue, n int64, loan *state.Loan) [][]byte {
	pieces, first, fresh := b.blocks.lend(b.frames, wants[0].at, n, loan)
	b.wentOn(wants, n, first, fresh)
	return pieces
}

// wentOn notes that n bytes from the first value on were read of blocks.
func (b *frameBucket) wentOn(wants []wantedValue, n int64, first bool, fresh int64) {
	if fresh > 0 {
		b.ahead.earn(fresh)
	}
	if !first {
		return
	}
	next := (wants[0].at+n-1)/blockBytes + 1
	for k := range b.blocks.ahead() {
		if !b.blocks.ask(blockID{b.frames, next + k}, func() bool { return b.ahead.pay(dense(wants)) }) {
			return
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
	wanted := b.ahead.miss(id, first.index)
	if b.askBlocks(first, dense(wants)) {
		return
	}
	if wanted {
		b.ahead.note(id, b.askLog(id, first))
	}
}

// askBlocks asks for the blocks that a value stands in, and reports whether all of them will be there.
func (b *frameBucket) askBlocks(w wantedValue, dense bool) bool {
	for n := w.at / blockBytes; n*blockBytes < w.at+int64(w.size); n++ {
		if !b.blocks.ask(blockID{b.frames, n}, func() bool { return b.ahead.pay(dense) }) {
			return false
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
