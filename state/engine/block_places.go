package engine

import "unsafe"

// stripeBlocks is how many blocks stand side by side in one piece of memory.
const stripeBlocks = 16

// blockPlaces is the memory of a blockCache, under its lock. A block that stands behind the one before it in the file
// also does so in memory, where that can be had, so that a value that goes over the border is in one piece. A reader
// that goes through a file goes through the places in turn.
//
// The memory is the collector's: what is still looked at after it has been given up stays readable.
type blockPlaces struct {
	at      []*block // by place; nil: free
	stripes [][]byte // each of stripeBlocks places; nil: not needed yet
}

// grow makes sure that there are so many places.
func (p *blockPlaces) grow(most int) {
	for len(p.at) < most {
		p.at = append(p.at, nil)
	}
	for len(p.stripes)*stripeBlocks < len(p.at) {
		p.stripes = append(p.stripes, nil)
	}
}

// behind is the place next to one, in one piece with it.
func (p *blockPlaces) behind(place int) (next int, ok bool) {
	next = place + 1
	return next, next < len(p.at) && next%stripeBlocks != 0
}

// empty finds a free place where the most is free, so that there is room behind it.
func (p *blockPlaces) empty() (place int, ok bool) {
	most := 0
	for from := 0; from < len(p.at); from += stripeBlocks {
		free, first := 0, 0
		for i := min(from+stripeBlocks, len(p.at)) - 1; i >= from; i-- {
			if p.at[i] == nil {
				free, first = free+1, i
			}
		}
		if free > most {
			most, place = free, first
		}
	}
	return place, most > 0
}

// take gives a block its place and returns the memory there, which begins at a multiple of frameBlock.
func (p *blockPlaces) take(b *block) []byte {
	must(p.at[b.place] == nil, "place %d is taken twice", b.place)
	p.at[b.place] = b
	n := b.place / stripeBlocks
	if p.stripes[n] == nil {
		p.stripes[n] = aligned(min(stripeBlocks, len(p.at)-n*stripeBlocks) * blockBytes)
	}
	return p.memory(b.place, 0, blockBytes)
}

func (p *blockPlaces) free(b *block) {
	must(p.at[b.place] == b, "place %d is given back twice", b.place)
	p.at[b.place] = nil
}

// memory is n bytes from byte from of a place on. It may reach into the places behind.
func (p *blockPlaces) memory(place int, from, n int64) []byte {
	from += int64(place%stripeBlocks) * blockBytes
	return p.stripes[place/stripeBlocks][from : from+n : from+n]
}

// trim gives the memory back in which nothing stands.
func (p *blockPlaces) trim() {
	for n := range p.stripes {
		used := false
		for i := n * stripeBlocks; i < min((n+1)*stripeBlocks, len(p.at)); i++ {
			used = used || p.at[i] != nil
		}
		if !used {
			p.stripes[n] = nil
		}
	}
}

// aligned returns n bytes, which hold whatever stood there before, from a multiple of frameBlock on.
func aligned(n int) []byte {
	b := uncleared(n + frameBlock)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % frameBlock)
	return b[skip : skip+n : skip+n]
}
