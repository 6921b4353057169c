package grpc

import (
	"sync"
	"sync/atomic"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/record"
)

// smallRead is what a reader may ask for where the others' unsent answers have used up ReadBytes: enough to go on, and
// little enough that as many of them as there may be streams do not matter. One batch may be larger.
const smallRead = 64 << 10

// readBudget bounds what all readers of a door have read and not sent. What is read counts for the member, too.
type readBudget struct {
	member Budget
	limit  int64

	mu   sync.Mutex
	used int64
}

// reserve takes n bytes where they fit.
func (b *readBudget) reserve(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+n > b.limit {
		return false
	}
	b.used += n
	return true
}

func (b *readBudget) unreserve(n int64) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
}

// Take implements Budget. Readers do not wait for each other.
func (b *readBudget) Take(stop <-chan struct{}, n int64) (waited, ok bool) {
	if waited, ok = b.member.Take(stop, n); ok {
		b.unreserve(-n)
	}
	return waited, ok
}

// Force implements Budget.
func (b *readBudget) Force(n int64) {
	b.unreserve(-n)
	b.member.Force(n)
}

// Give implements Budget.
func (b *readBudget) Give(n int64) {
	b.unreserve(n)
	b.member.Give(n)
}

// reader reads for one stream or call, one question at a time. What an answer holds is charged from when it is there
// until its Release, or until the account is settled.
//
// A question that finds much waits for nothing; one that waits may have company of thousands. So a large answer is
// asked for without a wait and with its bytes reserved, and where nothing is there the wait is for a small one.
//
// Who holds a small answer that its client has not taken gets no second one: its question is parked.
type reader struct {
	d       *door
	account *account
	hungry  atomic.Bool // the last answer was a large one: there may be more behind it

	mu     sync.Mutex
	parked *question
}

func (d *door) newReader() *reader {
	r := &reader{d: d, account: &account{budget: d.reading}}
	r.hungry.Store(true)
	return r
}

// question is one Fetch under way.
type question struct {
	r    *reader
	f    broker.Fetch
	done func(broker.Fetched)

	mu       sync.Mutex
	canceled bool
	step     int    // of what the port was asked last
	cancel   func() // of that
}

// Fetch is broker.Port.Fetch within the budget: the answer may be smaller than what was asked for.
func (r *reader) Fetch(f broker.Fetch, done func(broker.Fetched)) (cancel func()) {
	q := &question{r: r, f: f, done: done}
	most := int64(f.MaxBytes)
	large := (r.hungry.Load() || f.MinBytes > smallRead) && r.d.reading.reserve(most)
	switch {
	case !large && r.park(q):
	case !large:
		q.small()
	case f.MinBytes <= 1:
		now := f
		now.MinBytes = 0
		q.ask(now, func(a broker.Fetched) { q.first(a, most) })
	default:
		q.ask(f, func(a broker.Fetched) { q.answer(a, most) })
	}
	return q.giveUp
}

// park keeps a question until its stream holds little, and reports whether it does.
func (r *reader) park(q *question) bool {
	if r.account.held() < smallRead {
		return false
	}
	r.mu.Lock()
	r.parked = q
	r.mu.Unlock()
	r.resume() // where it was given back meanwhile
	return true
}

// resume asks a parked question, on a goroutine of its own: bytes are given back in all kinds of places. A
// stream that has ended has nothing parked.
func (r *reader) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.parked; q != nil && (q.isCanceled() || r.account.held() < smallRead) {
		r.parked = nil
		r.d.wg.Go(q.small)
	}
}

// settle gives back what the reader holds, once and for all.
func (r *reader) settle() {
	r.account.settle()
	r.resume()
}

func (q *question) isCanceled() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.canceled
}

// first takes the answer that did not wait.
func (q *question) first(a broker.Fetched, reserved int64) {
	if q.isCanceled() || !q.nothing(a) {
		q.answer(a, reserved)
		return
	}
	a.Release()
	q.r.d.reading.unreserve(reserved)
	q.small()
}

// nothing reports whether an answer has nothing to tell, so that waiting makes sense.
func (q *question) nothing(a broker.Fetched) bool {
	for i := range a.Partitions {
		p := &a.Partitions[i]
		if p.Err != nil || len(p.Batches) > 0 || readable(p, q.f.ReadCommitted) > q.f.Partitions[i].From {
			return false
		}
	}
	return true
}

// readable is the offset behind what may be read of a partition.
func readable(p *broker.FetchedPartition, committed bool) record.Offset {
	if committed {
		return p.LastStable
	}
	return p.HighWatermark
}

// skips reports whether an answer holds no batch: then nothing is left of what lies between a position and the end,
// because the first batch that is found comes whatever its size.
func skips(a *broker.Fetched) bool {
	for i := range a.Partitions {
		if len(a.Partitions[i].Batches) > 0 {
			return false
		}
	}
	return true
}

// small asks for what anybody may have.
func (q *question) small() {
	f := q.f
	f.MaxBytes = min(f.MaxBytes, smallRead)
	f.MinBytes = min(f.MinBytes, f.MaxBytes)
	q.ask(f, func(a broker.Fetched) { q.answer(a, 0) })
}

// ask asks the port. Its answer may come before this returns.
func (q *question) ask(f broker.Fetch, done func(broker.Fetched)) {
	q.mu.Lock()
	q.step++
	step := q.step
	q.mu.Unlock()
	cancel := q.r.d.port.Fetch(f, done)
	q.mu.Lock()
	last := q.step == step // else its answer was followed by another question, which may be answered, too
	if last {
		q.cancel = cancel
	}
	canceled := q.canceled
	q.mu.Unlock()
	if canceled && last {
		cancel()
	}
}

// giveUp ends the wait; the answer comes at once.
func (q *question) giveUp() {
	q.mu.Lock()
	q.canceled = true
	cancel := q.cancel
	q.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	q.r.resume()
}

// answer charges for an answer and hands it on.
func (q *question) answer(a broker.Fetched, reserved int64) {
	n := int64(0)
	for _, p := range a.Partitions {
		n += bytesOf(p.Batches)
	}
	r, release := q.r, a.Release
	r.hungry.Store(n >= smallRead)
	r.account.force(n)
	r.d.reading.unreserve(reserved)
	a.Release = func() {
		release()
		r.account.give(n)
		r.resume()
	}
	q.done(a)
}

// readerPort is a port whose readings are those of a reader.
type readerPort struct {
	broker.Port
	r *reader
}

// Fetch implements broker.Port.
func (p readerPort) Fetch(f broker.Fetch, done func(broker.Fetched)) (cancel func()) {
	return p.r.Fetch(f, done)
}
