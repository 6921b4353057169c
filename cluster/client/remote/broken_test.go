package remote_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
	"github.com/millstream-io/millstream/proto/fault"
)

// behind makes a world whose clients reach the member through a proxy.
func behind(t *testing.T, c cluster.Config) (*world, *proxy) {
	w := &world{t: t}
	c.GRPC = ":0"
	w.start(c)
	p := newProxy(t, w.member.GRPCAddr())
	w.client = func(opts ...client.Option) *client.Client {
		cl, err := remote.Dial(within(t), p.addr(), remote.With(opts...))
		if err != nil {
			t.Fatal(err)
		}
		return w.keep(cl)
	}
	return w, p
}

// restart closes the member and starts another one in its directory. The proxy leads there.
func (w *world) restart(p *proxy, c cluster.Config) {
	w.t.Helper()
	p.target("")
	if err := w.member.Close(); err != nil {
		w.t.Fatal(err)
	}
	c.GRPC = ":0"
	m, err := cluster.Start(within(w.t), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.member = m
	p.target(m.GRPCAddr())
}

// stream produces records 0 to n-1 without waiting, and counts answers.
type stream struct {
	acked, failed atomic.Int64
	firstErr      atomic.Pointer[error]
}

func (s *stream) produce(t *testing.T, c *client.Client, topic string, from, to int) {
	for i := from; i < to; i++ {
		r := client.Record{Topic: topic, Key: fmt.Append(nil, i%5), Value: fmt.Append(nil, i)}
		c.ProduceAsync(within(t), r, func(d client.Delivery) {
			if d.Err != nil {
				s.failed.Add(1)
				s.firstErr.CompareAndSwap(nil, &d.Err)
				return
			}
			s.acked.Add(1)
		})
	}
}

// Goal: a member that restarts in the middle of a stream of records loses none and doubles none, and keeps their
// order. Method: restart several times while an idempotent producer goes on.
func TestMemberRestarts(t *testing.T) {
	t.Parallel()
	c := cluster.Config{DataDir: t.TempDir()}
	w, p := behind(t, c)
	cl := w.client(client.WithMaxBatchBytes(4 << 10))
	w.topic(cl, "t", 3)
	const rounds, each = 4, 2000
	var s stream
	for round := range rounds {
		s.produce(t, cl, "t", round*each, (round+1)*each)
		if round < rounds-1 {
			w.restart(p, c)
		}
	}
	if err := cl.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := s.failed.Load(); n > 0 {
		t.Fatalf("%d records failed: %v", n, *s.firstErr.Load())
	}
	if err := inOrder(w.readAll(cl, "t"), rounds*each); err != nil {
		t.Fatal(err)
	}
	if cl.Stats().Retries == 0 {
		t.Error("no restart was noticed")
	}
}

// Goal: a connection that is cut anywhere, in the middle of a frame too, loses and doubles nothing. Method: a proxy
// cuts each connection after a number of bytes from a seed, over and over.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	w, p := behind(t, cluster.Config{})
	cl := w.client(client.WithMaxBatchBytes(2<<10), client.WithRequestTimeout(2*time.Second))
	w.topic(cl, "t", 3)
	const each, rounds = 20_000, 20
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p.cutting(somewhere(seed, 100_000))
	var s stream
	n := 0
	for n < rounds*each && p.count() < 5 { // a slow member takes larger batches, and so fewer bytes
		s.produce(t, cl, "t", n, n+each)
		n += each
		if err := cl.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if f := s.failed.Load(); f > 0 {
		t.Fatalf("%d records failed: %v", f, *s.firstErr.Load())
	}
	if p.count() < 5 {
		t.Errorf("only %d cuts", p.count())
	}
	p.cutting(nil)
	if err := inOrder(w.readAll(cl, "t"), n); err != nil {
		t.Fatal(err)
	}
	p.cutting(somewhere(seed, 300_000)) // readers go on where they were, if an answer comes through at all
	if err := inOrder(w.readAll(cl, "t", client.WithMaxPollBytes(64<<10)), n); err != nil {
		t.Fatal(err)
	}
	p.cutting(nil)
}

// Goal: the checker finds what it is there for. Method: the same cuts with a producer that is not idempotent and whose
// acknowledgements are lost: something must be doubled.
func TestCutsWithoutIdempotenceAreCaught(t *testing.T) {
	t.Parallel()
	w, p := behind(t, cluster.Config{})
	cl := w.client(client.WithMaxBatchBytes(1<<10), client.WithoutIdempotence())
	w.topic(cl, "t", 3)
	r := rand.New(rand.NewPCG(1, 2))
	for round, n := 0, 0; round < 200; round++ {
		p.cutting(somewhere(r.Uint64(), 20_000))
		var s stream
		s.produce(t, cl, "t", n, n+300)
		n += 300
		if err := cl.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
		p.cutting(nil)
		if err := inOrder(w.readAll(cl, "t"), n); err != nil && strings.Contains(err.Error(), "is there 2 times") ||
			err != nil && strings.Contains(err.Error(), "stands behind") {
			return
		}
	}
	t.Fatal("nothing was doubled: the checker sees nothing")
}

// Goal: what nobody answers ends with its deadline, a cancelled call ends at once, and a closed client leaves nothing.
// Method: a listener that takes connections and says nothing; the test main looks for goroutines.
func TestSilentMember(t *testing.T) {
	t.Parallel()
	w, p := behind(t, cluster.Config{})
	w.topic(w.client(), "t", 1)
	cl := w.client(client.WithDeliveryTimeout(300*time.Millisecond), client.WithRequestTimeout(200*time.Millisecond))
	if _, err := cl.Topic(within(t), "t"); err != nil {
		t.Fatal(err)
	}
	k := cl.Consumer()
	defer k.Close()
	if err := k.Assign(within(t), "t", client.FromLatest()); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p.target(silent.Addr().String())
	p.cutAll()
	began := time.Now()
	if _, err := cl.Produce(within(t), client.Record{Topic: "t"}); !errors.Is(err, fault.RequestTimedOut) {
		t.Errorf("produce: %v", err)
	}
	short, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := k.Poll(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("poll: %v", err)
	}
	if _, err := cl.Topics(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("topics: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// Goal: an address where nobody listens, or somebody else, is told at once and with a hint. Method: a closed port, and
// the Kafka door.
func TestDialRefused(t *testing.T) {
	t.Parallel()
	m, err := cluster.Start(within(t), cluster.Config{Kafka: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	closed := c.LocalAddr().String() // nobody listens there, and nobody else can begin to
	for _, addr := range []string{closed, m.KafkaAddr()} {
		if _, err := remote.Dial(within(t), addr); !errors.Is(err, fault.Unreachable) || !strings.Contains(err.Error(), "gRPC door") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// Goal: a producer that is faster than the member holds no more than its buffer. Method: flood a member through a proxy
// that carries nothing, and measure the heap.
func TestFloodIsBounded(t *testing.T) {
	w, p := behind(t, cluster.Config{})
	const buffer = 4 << 20
	w.topic(w.client(), "t", 4)
	cl := w.client(client.WithMaxBufferedBytes(buffer), client.WithDeliveryTimeout(time.Second), client.WithCloseTimeout(time.Second))
	if _, err := cl.Topic(within(t), "t"); err != nil {
		t.Fatal(err)
	}
	p.target("")
	p.cutAll()
	before := heap()
	value := make([]byte, 10_000)
	var answered, produced atomic.Int64
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	var full sync.WaitGroup
	full.Go(func() { // the buffer is full when a record has to wait; then the flood ends
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for cl.Stats().BufferWaits == 0 && ctx.Err() == nil {
			<-tick.C
		}
		cancel()
	})
	defer full.Wait()
	for ctx.Err() == nil {
		produced.Add(1)
		cl.ProduceAsync(ctx, client.Record{Topic: "t", Value: value}, func(client.Delivery) { answered.Add(1) })
		if s := cl.Stats(); s.BufferedBytes > buffer {
			t.Fatalf("%d bytes are under way", s.BufferedBytes)
		}
	}
	if grown := heap() - before; grown > 8*buffer {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	_ = cl.Flush(within(t))
	if answered.Load() != produced.Load() || cl.Stats().BufferWaits == 0 {
		t.Errorf("%d answers to %d records, %+v", answered.Load(), produced.Load(), cl.Stats())
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
