package engine

import (
	"container/list"
	"sync"
	"time"
)

const (
	blockBytes       = 1 << 20 // of a frame file, at multiples of it
	defaultReadCache = 64 << 20
	blocksFlying     = 8                // that are read at a time
	pieceBytes       = 256 << 10        // of one read where somebody writes
	blocksIdle       = 10 * time.Second // after which without a reader the memory is given back
)

// blockCache keeps whole blocks of frame files that readers go through in order. They are read past the page
// cache, which costs a fraction of the time and of the processor's work: what is written past it is not there
// anyway. Who reads may be lent what stands in them; what does not stand in one piece is copied into scratches.
//
// A block that is still being written to is kept as far as it was written when it was read.
//
// All methods are safe for concurrent use. A nil *blockCache has nothing and takes nothing.
type blockCache struct {
	start func(func())
	busy  func() bool // whether somebody writes; nil: nobody
	turn  sync.Mutex  // of who reads a piece while somebody writes

	mu     sync.Mutex
	most   int // blocks
	blocks map[blockID]*block
	order  *list.List // of *block, the one that was used last in front
	places blockPlaces
	flying int
	made   int  // blocks that were ever asked for
	lent   int  // blocks and scratches that somebody holds
	used   bool // since the last sweep
	sweep  *time.Timer
	closed bool

	scratches []*scratch // nobody's
	scratched int        // that there are
}

// blockID names a block: the bytes from n·blockBytes on.
type blockID struct {
	file *frameFile
	n    int64
}

// block is one block of a file. Everything but buf and valid is under blockCache.mu.
type block struct {
	cache  *blockCache
	id     blockID
	place  int           // where in blockPlaces buf is
	ready  chan struct{} // closed when buf and valid are set
	buf    []byte
	valid  int64 // bytes of buf that are those of the file; 0 where it could not be read
	pins   int   // readers that copy from it, and loans
	loans  int
	gone   bool  // nobody finds it any more; its place is free when the last pin is gone
	unread int64 // bytes that nobody has read
	seen   int   // blockCache.made when it was used last
	order  *list.Element
}

// newBlockCache returns a cache of so many bytes. start runs a function on a goroutine of its owner.
func newBlockCache(bytes int64, start func(func())) *blockCache {
	return &blockCache{
		most: int(bytes / blockBytes), start: start, blocks: map[blockID]*block{}, order: list.New(),
	}
}

// ahead is how many blocks to ask for in front of a reader.
func (c *blockCache) ahead() int64 {
	if c != nil && c.busy != nil && c.busy() {
		return fewAhead
	}
	return blocksAhead
}

// ask has a block read that is not there yet, if pay agrees, and reports whether it will be there. It does not
// wait.
func (c *blockCache) ask(id blockID, pay func() bool) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocks[id] != nil {
		return true
	}
	if c.closed || c.flying == blocksFlying || id.n*blockBytes >= id.file.written.Load() {
		return false
	}
	place, ok := c.placeLocked(id)
	if !ok || !pay() {
		return false
	}
	c.made++
	b := &block{cache: c, id: id, place: place, ready: make(chan struct{}), unread: blockBytes, seen: c.made}
	b.order = c.order.PushFront(b)
	c.blocks[id] = b
	c.flying++
	buf := c.places.take(b)
	c.start(func() { c.load(b, buf) })
	return true
}

// load reads a block. One that cannot be read is left empty: whoever wants something of it reads it by itself
// and meets the error.
func (c *blockCache) load(b *block, buf []byte) {
	n, err := c.fetch(b.id, buf)
	if err != nil {
		n = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.buf, b.valid = buf, n
	c.flying--
	close(b.ready)
	c.touchLocked()
}

// fetch reads a block from the disk and returns how much of it there is. Where somebody writes it reads in pieces, and
// one piece of all blocks at a time: a group waits for one of them and not for several blocks.
func (c *blockCache) fetch(id blockID, buf []byte) (n int64, err error) {
	for n < int64(len(buf)) {
		piece, busy := buf[n:], c.busy != nil && c.busy()
		if busy {
			piece = piece[:min(len(piece), pieceBytes)]
			c.turn.Lock()
		}
		got, err := id.file.readBlock(piece, id.n*blockBytes+n)
		if busy {
			c.turn.Unlock()
		}
		if n += got; err != nil || got < int64(len(piece)) {
			return n, err
		}
	}
	return n, nil
}

// read fills to with the bytes of a file from place at, where blocks have all of them. It waits for blocks that
// are being read. fresh is how many of the bytes nobody had read before, and first says that one of the blocks
// was touched for the first time.
func (c *blockCache) read(f *frameFile, to []byte, at int64) (ok, first bool, fresh int64) {
	if c == nil {
		return false, false, 0
	}
	for len(to) > 0 {
		id := blockID{f, at / blockBytes}
		b := c.pin(id)
		if b == nil {
			return false, first, fresh
		}
		<-b.ready
		from := at - id.n*blockBytes
		n := min(int64(len(to)), blockBytes-from)
		if from+n > b.valid {
			c.unpin(b, 0)
			c.forget(b)
			return false, first, fresh
		}
		copy(to, b.buf[from:from+n])
		untouched, paid := c.unpin(b, n)
		first, fresh = first || untouched, fresh+paid
		to, at = to[n:], at+n
	}
	return true, first, fresh
}

func (c *blockCache) pin(id blockID) *block {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.blocks[id]
	if b != nil {
		b.pins++
		b.seen = c.made
		c.order.MoveToFront(b.order)
		c.used = true
	}
	return b
}

// unpin ends the use of a block of which n bytes were read.
func (c *blockCache) unpin(b *block, n int64) (first bool, fresh int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpinLocked(b)
	return b.readLocked(n)
}

// readLocked notes that n bytes were read: how many of them nobody had read before, as far as that is known.
func (b *block) readLocked(n int64) (first bool, fresh int64) {
	first, fresh = b.unread == blockBytes && n > 0, min(n, b.unread)
	b.unread -= fresh
	return first, fresh
}

func (c *blockCache) unpinLocked(b *block) {
	b.pins--
	if b.pins == 0 && b.gone {
		c.places.free(b)
	}
}

// forget lets a block go that has not got what somebody wants of it. Who holds it keeps it.
func (c *blockCache) forget(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocks[b.id] == b {
		c.dropLocked(b)
	}
}

// drop forgets all blocks of a file, which nobody reads any more, and returns when none of them is being read from the
// disk. What somebody holds stays as it is.
func (c *blockCache) drop(f *frameFile) {
	for c != nil {
		var flying *block
		c.mu.Lock()
		for id, b := range c.blocks {
			switch {
			case id.file != f:
			case isReady(b):
				c.dropLocked(b)
			default:
				flying = b
			}
		}
		c.mu.Unlock()
		if flying == nil {
			return
		}
		<-flying.ready
	}
}

// close gives all memory back. Nothing is asked for any more.
func (c *blockCache) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.places.trim()
	c.dropScratchesLocked()
	if c.sweep != nil {
		c.sweep.Stop()
	}
}

// placeLocked finds a place for a block, if possible behind the one before it in the file, and reports whether there
// is one.
func (c *blockCache) placeLocked(id blockID) (place int, ok bool) {
	c.places.grow(c.most)
	if before := c.blocks[blockID{id.file, id.n - 1}]; before != nil {
		if place, ok := c.places.behind(before.place); ok && c.clearLocked(place, c.most/4) {
			return place, true
		}
	}
	if place, ok := c.places.empty(); ok {
		return place, true
	}
	for e := c.order.Back(); e != nil; e = e.Prev() {
		if b := e.Value.(*block); c.clearLocked(b.place, 0) {
			return b.place, true
		}
	}
	return 0, false
}

// clearLocked makes sure that a place is free, unless its block was used since so many others were asked for, or
// somebody is at it.
func (c *blockCache) clearLocked(place, age int) bool {
	b := c.places.at[place]
	if b == nil {
		return true
	}
	if c.made-b.seen < age || !c.idleLocked(b) {
		return false
	}
	c.dropLocked(b)
	return true
}

// idleLocked reports whether nobody reads the block and nobody looks at it.
func (c *blockCache) idleLocked(b *block) bool { return b.pins == 0 && !b.gone && isReady(b) }

func isReady(b *block) bool {
	select {
	case <-b.ready:
		return true
	default:
		return false
	}
}

// dropLocked forgets a block that has been read.
func (c *blockCache) dropLocked(b *block) {
	delete(c.blocks, b.id)
	c.order.Remove(b.order)
	b.gone = true
	if b.pins == 0 {
		c.places.free(b)
	}
}

// touchLocked has the memory given back when nobody has read for a while.
func (c *blockCache) touchLocked() {
	if c.used = true; c.sweep == nil && !c.closed {
		c.sweep = time.AfterFunc(blocksIdle, c.giveBack)
	}
}

func (c *blockCache) giveBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.used {
		c.used = false
		c.sweep.Reset(blocksIdle)
		return
	}
	if c.lent > 0 {
		c.sweep.Reset(blocksIdle) // for what is held
	} else {
		c.sweep = nil
	}
	for _, b := range c.blocks {
		if c.idleLocked(b) {
			c.dropLocked(b)
		}
	}
	c.places.trim()
	c.dropScratchesLocked()
}
