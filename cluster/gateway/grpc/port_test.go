package grpc

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/gateway/kafka"
	"github.com/millstream-io/millstream/partition/placement"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/record"
)

// heldPort is a port that keeps produce requests and reads until it is told to answer. What it does not implement
// panics, which is also a test.
type heldPort struct {
	broker.Port
	table *placement.Table

	mu       sync.Mutex
	answers  []func()
	frames   [][]byte
	given    bool // answer at once
	released int
	spoiled  atomic.Bool // the next Produce panics
}

func newHeldPort() *heldPort {
	t := &placement.Topic{Name: "t", ID: record.TopicID{1}, Partitions: make([]placement.Partition, 2)}
	return &heldPort{table: &placement.Table{
		Topics: map[string]*placement.Topic{"t": t}, ByID: map[record.TopicID]*placement.Topic{t.ID: t},
	}}
}

func (p *heldPort) Table() *placement.Table { return p.table }
func (p *heldPort) AutoCreate() bool        { return false }

func (p *heldPort) hold(answer func()) {
	p.mu.Lock()
	given := p.given
	if !given {
		p.answers = append(p.answers, answer)
	}
	p.mu.Unlock()
	if given {
		answer()
	}
}

// answer answers everything that is held, and what comes later at once.
func (p *heldPort) answer() {
	p.mu.Lock()
	answers := p.answers
	p.answers, p.given = nil, true
	p.mu.Unlock()
	for _, a := range answers {
		a()
	}
}

func (p *heldPort) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.answers)
}

func (p *heldPort) Produce(b broker.Produce, done func(broker.Produced)) {
	if p.spoiled.Load() {
		panic("spoiled")
	}
	p.mu.Lock()
	p.frames = append(p.frames, b.Frame)
	p.mu.Unlock()
	p.hold(func() { done(broker.Produced{Base: 1}) })
}

func (p *heldPort) Fetch(f broker.Fetch, done func(broker.Fetched)) (cancel func()) {
	var once sync.Once
	answer := func() {
		once.Do(func() {
			done(broker.Fetched{Partitions: make([]broker.FetchedPartition, len(f.Partitions)), Release: func() {
				p.mu.Lock()
				p.released++
				p.mu.Unlock()
			}})
		})
	}
	p.hold(answer)
	return answer
}

// served is a door over a port, with a budget that tells whether everything came back.
type served struct {
	t      testing.TB
	port   broker.Port
	budget *kafka.Credit
	l      *bufconn.Listener
	conn   *rpc.ClientConn
	ctx    context.Context
	seen   *watcher
}

// watcher counts what an Observer is told.
type watcher struct {
	nobody
	mu       sync.Mutex
	panicked []string
	open     int
	throttle int
	stuck    atomic.Int64
}

func (w *watcher) Stuck(string) { w.stuck.Add(1) }

func (w *watcher) Panicked(method string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.panicked = append(w.panicked, method)
}

func (w *watcher) Throttled(time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.throttle++
}

func (w *watcher) Began(string) { w.count(1) }

func (w *watcher) Ended(string, string, time.Duration) { w.count(-1) }

func (w *watcher) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open += n
}

func (w *watcher) now() (open, panicked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open, len(w.panicked)
}

func serve(t testing.TB, port broker.Port, o Options) *served {
	ignore := goleak.IgnoreCurrent()
	s := &served{t: t, port: port, l: bufconn.Listen(1 << 20), budget: kafka.NewCredit(1 << 20), seen: &watcher{}}
	o.MemberBytes, o.Observer = s.budget, s.seen
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, s.l, port, o) }()
	conn, err := rpc.NewClient("passthrough:door", rpc.WithTransportCredentials(insecure.NewCredentials()),
		rpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.l.DialContext(ctx) }),
		rpc.WithDefaultCallOptions(rpc.ForceCodecV2(wire.Codec())))
	if err != nil {
		t.Fatal(err)
	}
	s.conn = conn
	stop := func() {}
	s.ctx, stop = context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() {
		stop()
		conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		goleak.VerifyNone(t, ignore)
		if n := s.budget.Used(); n != 0 {
			t.Errorf("%d bytes never came back", n)
		}
	})
	return s
}

// until waits for a fact.
func (s *served) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			s.t.Fatalf("never came: %s", what)
		}
	}
}

func batchOf(t testing.TB, value []byte) []byte {
	t.Helper()
	var b record.Builder
	if err := b.Append(&record.Record{Value: value}); err != nil {
		t.Fatal(err)
	}
	raw, err := b.Build(0, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func rawRequest(id uint64, batches []byte) *apiv1.ProduceRequest {
	partition := int32(1)
	return &apiv1.ProduceRequest{
		Id: id, Topic: "t", Partition: &partition, Content: &apiv1.ProduceRequest_Batches{Batches: batches},
	}
}

// Goal: a client that sends without end holds no more than its share, and goes on when answers come. Method: a port
// that answers nothing; the door must stop taking at the stream's limits of requests, then of bytes.
func TestProduceIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		o    Options
		size int
		most int
	}{
		"requests": {Options{StreamRequests: 5}, 10, 5},
		"bytes":    {Options{StreamBytes: 100_000}, 30_000, 4},
		"member":   {Options{}, 300_000, 3},
	} {
		t.Run(name, func(t *testing.T) {
			port := newHeldPort()
			s := serve(t, port, tt.o)
			p, err := apiv1.NewRecordsClient(s.conn).Produce(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			b := batchOf(t, make([]byte, tt.size))
			const n = 20
			go func() {
				for i := range n {
					if p.Send(rawRequest(uint64(i), b)) != nil {
						return
					}
				}
				_ = p.CloseSend()
			}()
			s.until("requests up to the limit", func() bool { return port.held() == tt.most })
			for range 1000 {
				runtime.Gosched()
			}
			if port.held() > tt.most {
				t.Fatalf("%d requests are held", port.held())
			}
			port.answer()
			for got := 0; ; got++ {
				a, err := p.Recv()
				if errors.Is(err, io.EOF) && got == n {
					return
				}
				if err != nil || len(a.Appended) != 1 || a.Appended[0].BaseOffset != 1 {
					t.Fatal(got, err, a)
				}
			}
		})
	}
}

// Goal: whatever a client abandons is given back: streams end, waits are given up, budgets are whole, no goroutine is
// left. Method: streams and calls of each kind under way, then the connection is cut; the port answers late.
func TestAbandoned(t *testing.T) {
	port := newHeldPort()
	s := serve(t, port, Options{})
	c := apiv1.NewRecordsClient(s.conn)
	ctx, cancel := context.WithCancel(s.ctx)
	p, err := c.Produce(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(rawRequest(1, batchOf(t, make([]byte, 1000)))); err != nil {
		t.Fatal(err)
	}
	f, err := c.Fetch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	from := &apiv1.Position{At: &apiv1.Position_Offset{}}
	if err := f.Send(&apiv1.FetchRequest{Command: &apiv1.FetchRequest_Start{Start: &apiv1.FetchStart{
		CreditBytes: 1 << 20, Partitions: []*apiv1.FetchPartition{{Topic: "t", From: from}},
	}}}); err != nil {
		t.Fatal(err)
	}
	calls := make(chan error, 2)
	go func() {
		_, err := c.Read(ctx, &apiv1.ReadRequest{Partitions: []*apiv1.ReadPartition{{Topic: "t"}}})
		calls <- err
	}()
	go func() {
		_, err := c.Publish(ctx, &apiv1.PublishRequest{Topic: "t", Records: []*apiv1.Record{{Value: []byte("v")}}})
		calls <- err
	}()
	s.until("four requests", func() bool { return port.held() == 4 })
	cancel()
	for range 2 {
		if err := <-calls; status.Code(err) != codes.Canceled {
			t.Errorf("an abandoned call ended with %v", err)
		}
	}
	s.conn.Close()
	s.until("the end of all calls", func() bool { open, _ := s.seen.now(); return open == 0 })
	port.answer()
	s.until("the release of both reads", func() bool {
		port.mu.Lock()
		defer port.mu.Unlock()
		return port.released == 2
	})
}

// Goal: a deadline ends a call, with what it had taken given back. Method: a port that never answers in time.
func TestDeadline(t *testing.T) {
	port := newHeldPort()
	s := serve(t, port, Options{})
	ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := apiv1.NewRecordsClient(s.conn).Publish(ctx, &apiv1.PublishRequest{Topic: "t", Records: []*apiv1.Record{{}}})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("ended with %v", err)
	}
	port.answer()
}

// Goal: a handler that panics costs its own call. Method: calls that the port knows nothing of; then one that works.
func TestPanicCostsItsCall(t *testing.T) {
	port := newHeldPort()
	port.answer()
	s := serve(t, port, Options{})
	_, err := apiv1.NewGroupsClient(s.conn).ListGroups(s.ctx, &apiv1.ListGroupsRequest{})
	if status.Code(err) != codes.Unknown {
		t.Errorf("ended with %v", err)
	}
	p, err := apiv1.NewRecordsClient(s.conn).Produce(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(rawRequest(1, nil)); err != nil {
		t.Fatal(err)
	}
	port.spoiled.Store(true)
	if err := p.Send(rawRequest(2, nil)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = p.Recv()
	}
	if status.Code(err) != codes.Unknown {
		t.Errorf("the stream ended with %v", err)
	}
	port.spoiled.Store(false)
	if _, n := s.seen.now(); n != 2 {
		t.Errorf("%d panics were told", n)
	}
	if _, err := apiv1.NewRecordsClient(s.conn).Publish(s.ctx, &apiv1.PublishRequest{Topic: "t", Records: []*apiv1.Record{{}}}); err != nil {
		t.Error(err)
	}
}

// Goal: connections beyond the limit are closed at once, and their place is free again when one ends. Method: a door
// for one connection.
func TestConnectionLimit(t *testing.T) {
	s := serve(t, newHeldPort(), Options{MaxConnections: 1})
	s.conn.Connect()
	s.until("the first connection", func() bool { return s.conn.GetState().String() == "READY" })
	c, err := s.l.DialContext(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a connection too many: %v", err)
	}
}
