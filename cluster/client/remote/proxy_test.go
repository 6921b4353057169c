package remote_test

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// proxy hands connections on to a member, and cuts each after so many bytes.
type proxy struct {
	l    net.Listener
	jobs sync.WaitGroup

	mu    sync.Mutex
	to    string
	cut   func() int // bytes that a connection may carry from now on; nil: any number
	conns map[net.Conn]struct{}
	cuts  int
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, conns: map[net.Conn]struct{}{}}
	p.jobs.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cutAll()
		p.jobs.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

// target changes where new connections go; "" refuses them.
func (p *proxy) target(to string) { p.mu.Lock(); p.to = to; p.mu.Unlock() }

// cutting has connections cut at positions from r, those that are open too.
func (p *proxy) cutting(cut func() int) { p.mu.Lock(); p.cut = cut; p.mu.Unlock(); p.cutAll() }

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) count() int { p.mu.Lock(); defer p.mu.Unlock(); return p.cuts }

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.jobs.Go(func() { p.carry(c) })
	}
}

func (p *proxy) carry(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	to, most := p.to, -1
	if p.cut != nil {
		most = p.cut()
	}
	p.mu.Unlock()
	if to == "" {
		return
	}
	d, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer d.Close()
	p.mu.Lock()
	p.conns[c], p.conns[d] = struct{}{}, struct{}{}
	p.mu.Unlock()
	left := &budget{left: most}
	var both sync.WaitGroup
	both.Go(func() { p.copy(d, c, left) })
	both.Go(func() { p.copy(c, d, left) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, d)
	p.mu.Unlock()
}

// budget is how many bytes a connection may still carry, both ways together; negative: any number.
type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take(n int) (allowed int, last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 0 {
		return n, false
	}
	n = min(n, b.left)
	b.left -= n
	return n, b.left == 0
}

// copy hands bytes on until the connection ends or its budget is used up; then both sides are cut.
func (p *proxy) copy(to, from net.Conn, b *budget) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		allowed, last := b.take(n)
		if _, wrong := to.Write(buf[:allowed]); wrong != nil {
			return
		}
		if last {
			p.mu.Lock()
			p.cuts++
			p.mu.Unlock()
			return
		}
		if err != nil {
			return
		}
	}
}

// somewhere returns positions from a seed, most of them behind what a connection begins with.
func somewhere(seed uint64, most int) func() int {
	r := rand.New(rand.NewPCG(seed, 7))
	return func() int { return 1 + r.IntN(most) }
}
