package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCluster is a Transport that really keeps batches, dedups sequences as a leader does, and injects
// faults.
type fakeCluster struct {
	Transport // nil: panics where a test asks for what the fake does not have

	mu       sync.Mutex
	topics   map[string]*fakeTopic
	nextID   byte
	producer record.ProducerID
	jobs     sync.WaitGroup
	closed   bool
	requests []fakeRequest
	changed  chan struct{} // closed and replaced at every append

	// trouble says what happens to the n-th request; nil is a sunny day. It runs with the lock held.
	trouble    func(n int, o Outgoing) mishap
	initErr    func() error
	produceErr error // answers everything, nothing is written
	dedup      bool
	gate       chan struct{} // answers wait for it to be closed
	fetches    int
	fetchErr   func(n int) error
	released   int
}

// mishap is what goes wrong with a request.
type mishap struct {
	refuse error         // not written
	lose   error         // written, but answered with this
	late   time.Duration // the answer takes that long (0: it comes at once, on the caller's goroutine)
	delay  time.Duration // so does the request
	lie    bool          // answered as if it were written
	zombie time.Duration // answered with lose at once, and written after that time nevertheless
}

type fakeRequest struct {
	place
	id    record.ProducerID
	seq   record.Sequence
	count int32
}

type fakeTopic struct {
	id    record.TopicID
	parts []*fakePartition
}

type fakePartition struct {
	batches []record.Batch
	start   record.Offset
	end     record.Offset
	seqs    map[record.ProducerID][]fakeRequest // last five
	bases   map[fakeRequest]record.Offset
}

func newCluster(topics map[string]int) *fakeCluster {
	f := &fakeCluster{topics: map[string]*fakeTopic{}, changed: make(chan struct{}), dedup: true, producer: 100}
	for name, n := range topics {
		f.make(name, n)
	}
	return f
}

func (f *fakeCluster) make(name string, n int) *fakeTopic {
	f.nextID++
	t := &fakeTopic{id: record.TopicID{f.nextID}}
	for range n {
		t.parts = append(t.parts, &fakePartition{seqs: map[record.ProducerID][]fakeRequest{},
			bases: map[fakeRequest]record.Offset{}})
	}
	f.topics[name] = t
	return t
}

func (f *fakeCluster) Metadata(_ context.Context, _ bool, names ...string) (out []TopicMetadata, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(names) == 0 {
		for name := range f.topics {
			names = append(names, name)
		}
	}
	for _, name := range names {
		m := TopicMetadata{Name: name}
		if t := f.topics[name]; t != nil {
			m.ID, m.Partitions = t.id, make([]PartitionMetadata, len(t.parts))
		} else {
			m.Err = fault.New(fault.UnknownTopicOrPartition, "no %s", name)
		}
		out = append(out, m)
	}
	return out, nil
}

func (f *fakeCluster) Produce(o Outgoing, done func(Produced)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var m mishap
	if f.trouble != nil {
		m = f.trouble(len(f.requests), o)
	}
	b := record.Batch(o.Frame[state.FrameRoom:])
	f.requests = append(f.requests, fakeRequest{place{o.Topic, o.Partition}, b.ProducerID(), b.BaseSequence(), b.Count()})
	if f.closed {
		m.refuse = fault.New(fault.Closing, "closed")
	}
	answer := func() Produced {
		if m.lie {
			return Produced{Base: f.topics[o.Topic].parts[o.Partition].end}
		}
		if m.refuse != nil {
			return Produced{Base: -1, LogStart: -1, Err: m.refuse}
		}
		a := f.append(o, b)
		if m.lose != nil {
			a.Err = m.lose
		}
		return a
	}
	if m.zombie > 0 {
		f.jobs.Go(func() {
			pause(context.Background(), m.zombie)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.append(o, b)
		})
		answer = func() Produced { return Produced{Base: -1, Err: m.lose} }
	}
	if f.gate != nil {
		gate, inner := f.gate, done
		done = func(a Produced) { <-gate; inner(a) }
		m.late = max(m.late, 1) // on a goroutine of its own
	}
	if m.delay == 0 && m.late == 0 {
		a := answer()
		f.mu.Unlock()
		done(a)
		f.mu.Lock()
		return
	}
	if m.delay == 0 {
		a := answer()
		answer = func() Produced { return a }
	}
	f.jobs.Go(func() {
		pause(context.Background(), m.delay)
		f.mu.Lock()
		a := answer()
		f.mu.Unlock()
		pause(context.Background(), m.late)
		done(a)
	})
}

// append does what a leader does: check, dedup, append.
func (f *fakeCluster) append(o Outgoing, b record.Batch) Produced {
	t := f.topics[o.Topic]
	switch {
	case f.produceErr != nil:
		return Produced{Base: -1, Err: f.produceErr}
	case t == nil || int(o.Partition) >= len(t.parts):
		return Produced{Base: -1, Err: fault.New(fault.UnknownTopicOrPartition, "gone")}
	case t.id != o.TopicID:
		return Produced{Base: -1, Err: fault.New(fault.UnknownTopicID, "another one")}
	}
	p := t.parts[o.Partition]
	if err := b.Check(); err != nil {
		return Produced{Base: -1, Err: err}
	}
	if id := b.ProducerID(); id != record.NoProducer && f.dedup {
		r := fakeRequest{id: id, seq: b.BaseSequence(), count: b.Count()}
		known := p.seqs[id]
		if slices.Contains(known, r) {
			return Produced{Base: p.bases[r], LogStart: p.start}
		}
		want := record.Sequence(0)
		if len(known) > 0 {
			last := known[len(known)-1]
			want = last.seq.Plus(last.count)
		}
		if want != r.seq {
			return Produced{Base: -1, LogStart: p.start,
				Err: fault.New(fault.OutOfOrderSequence, "sequence %d, expected %d", r.seq, want)}
		}
		p.seqs[id] = append(known, r)[max(0, len(known)-4):]
		p.bases[r] = p.end
	}
	b = slices.Clone(b)
	b.SetBaseOffset(p.end)
	p.batches = append(p.batches, b)
	a := Produced{Base: p.end, LogStart: p.start, AppendTimeMs: -1}
	p.end = b.LastOffset() + 1
	close(f.changed)
	f.changed = make(chan struct{})
	return a
}

// fakeReader is a Reader of a fakeCluster.
type fakeReader struct{ *fakeCluster }

func (f *fakeCluster) OpenReader() Reader { return fakeReader{f} }

func (f fakeReader) Close() {}

func (f *fakeCluster) Fetch(ctx context.Context, r FetchRequest) (FetchResult, error) {
	until := time.Now().Add(r.MaxWait)
	for {
		f.mu.Lock()
		f.fetches++
		if f.fetchErr != nil {
			if err := f.fetchErr(f.fetches); err != nil {
				f.mu.Unlock()
				return FetchResult{}, err
			}
		}
		out, n, refused := f.read(r)
		if n == 0 { // compaction has left nothing
			for i := range out {
				out[i].Next = out[i].HighWatermark
			}
		}
		changed := f.changed
		f.mu.Unlock()
		if n >= r.MinBytes || refused || time.Now().After(until) {
			return FetchResult{Partitions: out, Free: func() { f.mu.Lock(); f.released++; f.mu.Unlock() }}, nil
		}
		select {
		case <-changed:
		case <-time.After(time.Until(until)):
		case <-ctx.Done():
			return FetchResult{}, ctx.Err()
		}
	}
}

func (f *fakeCluster) read(r FetchRequest) (out []FetchedPartition, n int, refused bool) {
	for _, q := range r.Partitions {
		t := f.topics[q.Topic]
		switch {
		case t == nil:
			out = append(out, FetchedPartition{Err: fault.New(fault.UnknownTopicOrPartition, "gone")})
			refused = true
			continue
		case t.id != q.TopicID:
			out = append(out, FetchedPartition{Err: fault.New(fault.UnknownTopicID, "another one")})
			refused = true
			continue
		}
		p := t.parts[q.Partition]
		a := FetchedPartition{HighWatermark: p.end, LogStart: p.start}
		if q.From < p.start || q.From > p.end {
			a.Err, refused = fault.New(fault.OffsetOutOfRange, "have [%d, %d]", p.start, p.end), true
		}
		got := 0
		for _, b := range p.batches {
			if a.Err != nil || b.LastOffset() < q.From || n > 0 && (n >= r.MaxBytes || got >= q.MaxBytes) {
				continue
			}
			a.Batches = append(a.Batches, slices.Clone(b))
			n, got = n+len(b), got+len(b)
		}
		out = append(out, a)
	}
	return out, n, refused
}

func (f *fakeCluster) ListOffsets(_ context.Context, q []OffsetQuery) (out []OffsetAnswer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range q {
		p := f.topics[q.Topic].parts[q.Partition]
		switch q.TimestampMs {
		case TimestampEarliest:
			out = append(out, OffsetAnswer{Offset: p.start, TimestampMs: -1})
		case TimestampLatest:
			out = append(out, OffsetAnswer{Offset: p.end, TimestampMs: -1})
		default:
			a := OffsetAnswer{Offset: -1, TimestampMs: -1}
			for _, r := range f.log(q.Topic, q.Partition) {
				if r.TimestampMs >= q.TimestampMs {
					a = OffsetAnswer{Offset: r.Offset, TimestampMs: r.TimestampMs}
					break
				}
			}
			out = append(out, a)
		}
	}
	return out, nil
}

func (f *fakeCluster) InitProducer(context.Context) (record.ProducerID, record.ProducerEpoch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.initErr != nil {
		if err := f.initErr(); err != nil {
			return 0, 0, err
		}
	}
	f.producer++
	return f.producer, 0, nil
}

func (f *fakeCluster) CreateTopics(_ context.Context, ts []NewTopic) (out []TopicAnswer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range ts {
		if f.topics[t.Name] != nil {
			out = append(out, TopicAnswer{Name: t.Name, Err: fault.New(fault.TopicAlreadyExists, "%s", t.Name)})
			continue
		}
		out = append(out, TopicAnswer{Name: t.Name, ID: f.make(t.Name, t.Partitions).id, Partitions: t.Partitions})
	}
	return out, nil
}

func (f *fakeCluster) DeleteTopics(_ context.Context, names []string) (out []TopicAnswer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range names {
		a := TopicAnswer{Name: n}
		if f.topics[n] == nil {
			a.Err = fault.New(fault.UnknownTopicOrPartition, "no %s", n)
		}
		delete(f.topics, n)
		out = append(out, a)
	}
	return out, nil
}

func (f *fakeCluster) CreatePartitions(_ context.Context, ts []MorePartitions) (out []TopicAnswer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range ts {
		for t := f.topics[m.Topic]; len(t.parts) < m.Total; {
			t.parts = append(t.parts, &fakePartition{seqs: map[record.ProducerID][]fakeRequest{},
				bases: map[fakeRequest]record.Offset{}})
		}
		out = append(out, TopicAnswer{Name: m.Topic})
	}
	return out, nil
}

func (f *fakeCluster) DescribeConfigs(_ context.Context, names []string) (out []TopicConfigs, err error) {
	for _, n := range names {
		out = append(out, TopicConfigs{Topic: n, Entries: []ConfigEntry{{Key: "retention.ms", Value: "-1"}}})
	}
	return out, nil
}

func (f *fakeCluster) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.jobs.Wait()
	return nil
}

// log returns the records of a partition. Call it with the lock held, or when all is quiet.
func (f *fakeCluster) log(topic string, p record.Partition) (out []record.Record) {
	for _, b := range f.topics[topic].parts[p].batches {
		for r, err := range b.Records(0) {
			must(err == nil, "%v", err)
			out = append(out, r)
		}
	}
	return out
}

// unruly is a trouble of a seed: refusals, lost answers, late ones that overtake each other, now and then.
func unruly(seed uint64) func(int, Outgoing) mishap {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(int, Outgoing) (m mishap) {
		switch r.IntN(10) {
		case 0:
			m.refuse = fault.New(fault.NotLeader, "moved")
		case 1:
			m.lose = fault.New(fault.RequestTimedOut, "the answer got lost")
		case 2:
			m.refuse = fault.New(fault.RequestTimedOut, "the request got lost")
		case 3, 4, 5:
			m.late = time.Duration(r.IntN(300)) * time.Microsecond
		case 6:
			m.delay = time.Duration(r.IntN(300)) * time.Microsecond
		}
		return m
	}
}

// vicious is like unruly, with refusals for good and requests that are written long after they were given up.
func vicious(seed uint64) func(int, Outgoing) mishap {
	r, mild := rand.New(rand.NewPCG(seed, 2)), unruly(seed)
	return func(n int, o Outgoing) mishap {
		switch r.IntN(12) {
		case 0:
			return mishap{refuse: fault.New(fault.InvalidRecord, "not this one"), late: time.Duration(r.IntN(2))}
		case 1:
			return mishap{lose: fault.New(fault.RequestTimedOut, "nobody knows"),
				zombie: time.Duration(1+r.IntN(3000)) * time.Microsecond}
		case 2:
			return mishap{lose: fault.New(fault.Unknown, "something broke")}
		}
		return mild(n, o)
	}
}

// impatient makes a client that retries at once.
var impatient = optionFunc(func(o *options) { o.leastBackoff = 100 * time.Microsecond })

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t testing.TB, f *fakeCluster, opts ...Option) *Client {
	c := New(f, append([]Option{impatient}, opts...)...)
	t.Cleanup(func() {
		if err := c.Close(); err != nil && fault.CodeOf(err) != fault.Closing {
			t.Error(err)
		}
	})
	return c
}
