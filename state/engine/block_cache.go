package engine

import (
	"container/list"
	"sync"
	"time"
	"unsafe"
)

const (
	blockBytes       = 1 << 20 // of a frame file, at multiples of it
	defaultReadCache = 64 << 20
	blocksFlying     = 8                // that are read at a time
	blocksIdle       = 10 * time.Second // after which without a reader the memory is given back
)

// blockCache keeps whole blocks of frame files that readers go through in order. They are read past the page
// cache, which costs a fraction of the time and of the processor's work: what is written past it is not there
// anyway.
//
// A block that is still being written to is kept as far as it was written when it was read.
//
// A nil *blockCache has nothing and takes nothing.
type blockCache struct {
	most  int // blocks
	start func(func())

	mu     sync.Mutex
	blocks map[blockID]*block
	order  *list.List // of *block, the one that was used last in front
	spare  [][]byte
	flying int
	used   bool // since the last sweep
	sweep  *time.Timer
	closed bool
}

// blockID names a block: the bytes from n·blockBytes on.
type blockID struct {
	file *frameFile
	n    int64
}

// block is one block of a file. Everything but buf and valid is under blockCache.mu.
type block struct {
	id     blockID
	ready  chan struct{} // closed when buf and valid are set
	buf    []byte
	valid  int64 // bytes of buf that are those of the file; 0 where it could not be read
	pins   int   // readers that copy from it
	unread int64 // bytes that nobody has read
	place  *list.Element
}

// newBlockCache returns a cache of so many bytes. start runs a function on a goroutine of its owner.
func newBlockCache(bytes int64, start func(func())) *blockCache {
	return &blockCache{
		most: int(bytes / blockBytes), start: start, blocks: map[blockID]*block{}, order: list.New(),
	}
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
	if c.closed || c.flying == blocksFlying || id.n*blockBytes >= id.file.written.Load() || !c.roomLocked() || !pay() {
		return false
	}
	b := &block{id: id, ready: make(chan struct{}), unread: blockBytes}
	b.place = c.order.PushFront(b)
	c.blocks[id] = b
	c.flying++
	buf := c.bufferLocked()
	c.start(func() { c.load(b, buf) })
	return true
}

// load reads a block. One that cannot be read is left empty: whoever wants something of it reads it by itself
// and meets the error.
func (c *blockCache) load(b *block, buf []byte) {
	n, err := b.id.file.readBlock(buf, b.id.n*blockBytes)
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
		c.order.MoveToFront(b.place)
		c.used = true
	}
	return b
}

func (c *blockCache) unpin(b *block, n int64) (first bool, fresh int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.pins--
	first, fresh = b.unread == blockBytes, min(n, b.unread)
	b.unread -= fresh
	return first, fresh
}

// forget lets a block go that has not got what somebody wants of it, unless others read it.
func (c *blockCache) forget(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idleLocked(b) {
		c.dropLocked(b)
	}
}

// drop forgets all blocks of a file, which nobody reads any more, and returns when none of them is being read.
func (c *blockCache) drop(f *frameFile) {
	for c != nil {
		var flying *block
		c.mu.Lock()
		for id, b := range c.blocks {
			switch {
			case id.file != f:
			case c.idleLocked(b):
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
	c.closed, c.spare = true, nil
	if c.sweep != nil {
		c.sweep.Stop()
	}
}

// roomLocked makes room for one more block and reports whether there is.
func (c *blockCache) roomLocked() bool {
	if len(c.blocks) < c.most {
		return true
	}
	for e := c.order.Back(); e != nil; e = e.Prev() {
		if b := e.Value.(*block); c.idleLocked(b) {
			c.dropLocked(b)
			return true
		}
	}
	return false
}

// idleLocked reports whether nobody reads the block and nobody copies from it.
func (c *blockCache) idleLocked(b *block) bool {
	select {
	case <-b.ready:
		return b.pins == 0 && c.blocks[b.id] == b
	default:
		return false
	}
}

func (c *blockCache) dropLocked(b *block) {
	delete(c.blocks, b.id)
	c.order.Remove(b.place)
	c.spare = append(c.spare, b.buf)
}

// bufferLocked returns the room for a block, which begins at a multiple of frameBlock.
func (c *blockCache) bufferLocked() []byte {
	if n := len(c.spare); n > 0 {
		b := c.spare[n-1]
		c.spare = c.spare[:n-1]
		return b
	}
	b := uncleared(blockBytes + frameBlock)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % frameBlock
	return b[skip : skip+blockBytes : skip+blockBytes]
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
	c.spare = nil
	if c.closed {
		return
	}
	if c.used {
		c.used = false
		c.sweep.Reset(blocksIdle)
		return
	}
	c.sweep = nil
	for _, b := range c.blocks {
		if c.idleLocked(b) {
			c.dropLocked(b)
		}
	}
	c.spare = nil
}
