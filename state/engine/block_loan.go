package engine

import "github.com/millstream-io/millstream/state"

// Parts of a blockCache: what may be lent at a time, above which readers get copies of their own, and what may be
// used for copies that are lent.
const (
	lentPart    = 2
	scratchPart = 8
)

// lend returns the bytes of a file from place at on, where blocks have all of them, in as few pieces as they stand
// in, and has the loan hold the blocks. It waits for blocks that are being read. Without pieces there is not all of
// it, or too much is lent. first and fresh are as with read.
func (c *blockCache) lend(f *frameFile, at, n int64, loan *state.Loan) (pieces [][]byte, first bool, fresh int64) {
	if c == nil || n == 0 {
		return nil, false, 0
	}
	blocks, ok := c.pinAll(f, at, n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok || c.lent+len(blocks) > c.most/lentPart {
		for _, b := range blocks {
			c.unpinLocked(b)
		}
		return nil, false, 0
	}
	for i := 0; i < len(blocks); {
		b, size := blocks[i], int64(0)
		from := max(at-b.id.n*blockBytes, 0)
		for begin := i; i < len(blocks); i++ {
			next, side := c.places.behind(b.place + i - begin - 1)
			if i > begin && (!side || blocks[i].place != next) {
				break
			}
			part := min(at+n, (blocks[i].id.n+1)*blockBytes) - max(at, blocks[i].id.n*blockBytes)
			untouched, unpaid := blocks[i].readLocked(part)
			first, fresh, size = first || untouched, fresh+unpaid, size+part
		}
		pieces = append(pieces, c.places.memory(b.place, from, size))
	}
	for _, b := range blocks {
		c.holdLocked(b, loan)
	}
	return pieces, first, fresh
}

// pinAll pins the blocks of a part of a file as far as they are there, and reports whether they have all of it.
func (c *blockCache) pinAll(f *frameFile, at, n int64) (blocks []*block, ok bool) {
	for k := at / blockBytes; k*blockBytes < at+n; k++ {
		b := c.pin(blockID{f, k})
		if b == nil {
			return blocks, false
		}
		blocks = append(blocks, b)
		<-b.ready
		if min(at+n-k*blockBytes, blockBytes) > b.valid {
			c.forget(b)
			return blocks, false
		}
	}
	return blocks, true
}

// holdLocked makes a pin one of the loan, which needs one only.
func (c *blockCache) holdLocked(b *block, loan *state.Loan) {
	if !loan.Add(b) {
		c.unpinLocked(b)
		return
	}
	if b.loans++; b.loans == 1 {
		c.lent++
	}
}

// Release implements state.Hold.
func (b *block) Release() {
	c := b.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	must(b.loans > 0, "block %d is given back more often than it was lent", b.id.n)
	if b.loans--; b.loans == 0 {
		c.lent--
	}
	c.unpinLocked(b)
}

// scratch is memory for copies that a loan holds. Its buffer is the loan's owner's until it is given back.
type scratch struct {
	cache *blockCache
	buf   []byte
	taken int
	out   bool // a loan has it
}

// room returns n bytes for a copy, which the loan holds; nil where there is none. They hold whatever stood there.
func (c *blockCache) room(n int, loan *state.Loan) []byte {
	if c == nil || n > blockBytes {
		return nil
	}
	for _, h := range loan.Holds() {
		if s, ok := h.(*scratch); ok && s.cache == c && n <= len(s.buf)-s.taken {
			return s.take(n)
		}
	}
	s := c.freeScratch()
	if s == nil {
		return nil
	}
	loan.Add(s)
	return s.take(n)
}

func (s *scratch) take(n int) []byte {
	from := s.taken
	s.taken += n
	return s.buf[from:s.taken:s.taken]
}

// untake gives the last n bytes that were taken of the loan's scratches back, if b is them.
func untake(b []byte, loan *state.Loan) {
	for _, h := range loan.Holds() {
		s, ok := h.(*scratch)
		if ok && len(b) > 0 && s.taken >= len(b) && &s.buf[s.taken-len(b)] == &b[0] {
			s.taken -= len(b)
			return
		}
	}
}

// freeScratch returns a scratch that nobody has; nil where too many are out.
func (c *blockCache) freeScratch() *scratch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.lent >= c.most/lentPart {
		return nil
	}
	var s *scratch
	if n := len(c.scratches); n > 0 {
		s = c.scratches[n-1] // the one whose memory was used last
		c.scratches = c.scratches[:n-1]
	} else if c.scratched < c.most/scratchPart {
		s = &scratch{cache: c, buf: uncleared(blockBytes)}
		c.scratched++
	}
	if s != nil {
		s.out = true
		c.lent++
		c.touchLocked()
	}
	return s
}

// Release implements state.Hold.
func (s *scratch) Release() {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	must(s.out, "a scratch is given back twice")
	s.out, s.taken = false, 0
	c.lent--
	c.scratches = append(c.scratches, s)
	if c.closed {
		c.dropScratchesLocked()
	}
}

// dropScratchesLocked gives the memory of those back that nobody has.
func (c *blockCache) dropScratchesLocked() {
	c.scratched -= len(c.scratches)
	clear(c.scratches)
	c.scratches = c.scratches[:0]
}
