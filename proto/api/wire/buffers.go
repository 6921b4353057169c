package wire

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// Buffers returns the buffers of a connection, for experimental.BufferPool and experimental.WithBufferPool. gRPC's own
// clears all of a buffer each time it gives it out, which costs as much as copying the bytes that then fill it; these
// hold what they held. Whoever takes one writes as much as it asked for before anybody reads it.
func Buffers() mem.BufferPool { return connectionBuffers }

// Most frames of a connection have 16 KiB, gRPC's largest; smaller ones are not worth a tier of their own but one.
var connectionBuffers = newBuffers(4<<10, 16<<10, 32<<10)

// buffers is a mem.BufferPool of some sizes, ascending. It does not keep larger buffers.
type buffers struct {
	sizes []int
	pools []sync.Pool // of *[]byte; one for each size
}

func newBuffers(sizes ...int) *buffers {
	return &buffers{sizes: sizes, pools: make([]sync.Pool, len(sizes))}
}

// Get implements mem.BufferPool.
func (p *buffers) Get(n int) *[]byte {
	for i, size := range p.sizes {
		if n > size {
			continue
		}
		b, ok := p.pools[i].Get().(*[]byte)
		if !ok {
			fresh := make([]byte, size)
			b = &fresh
		}
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n)
	return &b
}

// Put implements mem.BufferPool.
func (p *buffers) Put(b *[]byte) {
	for i, size := range p.sizes {
		if cap(*b) == size {
			p.pools[i].Put(b)
			return
		}
	}
}
