package pool

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
)

// Why Submit refuses a job. Both are for control flow between this package and its caller.
var (
	// ErrFull says that Limit jobs wait already.
	ErrFull = errors.New("pool: too many jobs wait")
	// ErrClosed says that Close has been called.
	ErrClosed = errors.New("pool: closed")
)

// defaultLimit bounds the jobs that wait: far more than the one job in flight that a resource may have.
const defaultLimit = 1 << 16

// burst is how many messages a mailbox handles before it lets other goroutines run.
const burst = 300

// Options say how big a pool is. The zero value is useful.
type Options struct {
	// Size is the number of jobs that run at the same time. 0 means four a CPU, at least eight.
	Size int
	// Limit is the number of jobs that may wait for a worker. 0 means 65536.
	Limit int
	// OnPanic hears of a job that panicked, on the job's goroutine, with the stack of the panic. May be nil.
	OnPanic func(reason any, stack []byte)
	// OnQueue hears the number of waiting jobs whenever it changed. It must not block nor call the pool. May
	// be nil.
	OnQueue func(waiting int)
}

// Pool runs jobs. Safe for concurrent use.
type Pool struct {
	o Options

	mu      sync.Mutex
	quiet   sync.Cond // signalled when no goroutine is left
	jobs    []func()  // the waiting ones are jobs[head:]
	head    int
	workers int
	runs    int // busy mailboxes
	closed  bool
}

// New makes a pool without starting a goroutine.
func New(o Options) *Pool {
	if o.Size <= 0 {
		o.Size = max(8, 4*runtime.GOMAXPROCS(0))
	}
	if o.Limit <= 0 {
		o.Limit = defaultLimit
	}
	p := &Pool{o: o}
	p.quiet.L = &p.mu
	return p
}

// Submit queues a job and returns at once. Errors: ErrFull, ErrClosed; then the job will never run.
func (p *Pool) Submit(job func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return ErrClosed
	case p.waiting() >= p.o.Limit:
		return ErrFull
	}
	p.jobs = append(p.jobs, job)
	if p.workers < p.o.Size {
		p.workers++
		go p.work()
	}
	p.report()
	return nil
}

// Schedule runs fn on a goroutine of its own, whatever the size of the pool: fn drains one mailbox and must
// not block. It works after Close began, because mailboxes are drained last. Together with Throughput it is
// what an actor library calls a dispatcher.
func (p *Pool) Schedule(fn func()) {
	p.mu.Lock()
	p.runs++
	p.mu.Unlock()
	go p.run(fn)
}

// Throughput returns the number of messages that a mailbox handles before it lets others run.
func (p *Pool) Throughput() int { return burst }

// Waiting returns the number of jobs that wait for a worker.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting()
}

// Close refuses new jobs, lets the accepted ones finish and returns when no goroutine is left. It blocks as
// long as the slowest job, and may be called more than once.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for p.workers+p.runs > 0 {
		p.quiet.Wait()
	}
}

func (p *Pool) work() {
	for {
		job := p.next()
		if job == nil {
			return
		}
		p.guard(job)
	}
}

// next takes the oldest job, or ends the worker when there is none.
func (p *Pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting() == 0 {
		p.workers--
		p.wake()
		return nil
	}
	job := p.jobs[p.head]
	p.jobs[p.head] = nil
	p.head++
	p.compact()
	p.report()
	return job
}

// compact keeps the queue's memory in proportion to what waits.
func (p *Pool) compact() {
	if p.head == len(p.jobs) {
		p.jobs, p.head = p.jobs[:0], 0
		return
	}
	if p.head >= 64 && p.head*2 >= len(p.jobs) {
		n := copy(p.jobs, p.jobs[p.head:])
		clear(p.jobs[n:])
		p.jobs, p.head = p.jobs[:n], 0
	}
}

func (p *Pool) run(fn func()) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.runs--
		p.wake()
	}()
	deepen(0)
	p.guard(fn)
}

// stackRoom is what draining a mailbox takes of the stack, about.
const stackRoom = 10 << 10

// deepen makes the stack of a fresh goroutine large enough at once. It would else be copied time and again on the way
// down, with ever more frames on it, which took a tenth of the time of a member under a light load.
//
//go:noinline
func deepen(i int) byte {
	var room [stackRoom]byte
	return room[i]
}

func (p *Pool) guard(job func()) {
	defer func() {
		if r := recover(); r != nil && p.o.OnPanic != nil {
			p.o.OnPanic(r, debug.Stack())
		}
	}()
	job()
}

func (p *Pool) waiting() int { return len(p.jobs) - p.head }

func (p *Pool) wake() {
	if p.workers+p.runs == 0 {
		p.quiet.Broadcast()
	}
}

func (p *Pool) report() {
	if p.o.OnQueue != nil {
		p.o.OnQueue(p.waiting())
	}
}
