package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/cluster/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for a fact that must come.
const patience = time.Minute

// door is a served memPort.
type door struct {
	t    testing.TB
	port *memPort
	addr string
	seen *ledger
	stop func()
}

// openDoor serves port on loopback until the test ends.
func openDoor(t testing.TB, port *memPort, change ...func(*Options)) *door {
	t.Helper()
	d := openDoorOn(t, port, change...)
	d.port = port
	return d
}

func openDoorOn(t testing.TB, port broker.Port, change ...func(*Options)) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, addr: l.Addr().String(), seen: &ledger{}}
	o := Options{Observer: d.seen, DrainTimeout: 5 * time.Second}
	for _, fn := range change {
		fn(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, port, o) }()
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	t.Cleanup(d.stop)
	return d
}

// client makes a franz-go client of the door.
func (d *door) client(opts ...kgo.Opt) *kgo.Client {
	d.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(d.addr)}, opts...)...)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(c.Close)
	return c
}

// ledger is an Observer that remembers.
type ledger struct {
	mu              sync.Mutex
	opened, panics  int
	closed          []Cause
	payload, copied int
	throttled       int
	answered        int
}

func (l *ledger) Opened()          { l.mu.Lock(); defer l.mu.Unlock(); l.opened++ }
func (l *ledger) Closed(c Cause)   { l.mu.Lock(); defer l.mu.Unlock(); l.closed = append(l.closed, c) }
func (l *ledger) Panicked(_ int16) { l.mu.Lock(); defer l.mu.Unlock(); l.panics++ }

func (l *ledger) Answered(int16, int16, int, int, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered++
}

func (l *ledger) Payload(n, copied int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.payload, l.copied = l.payload+n, l.copied+copied
}

func (l *ledger) Throttled(time.Duration) { l.mu.Lock(); defer l.mu.Unlock(); l.throttled++ }

func (l *ledger) causes() []Cause {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Cause(nil), l.closed...)
}

// eventually waits for a named fact.
func eventually(t testing.TB, fact string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", fact)
		}
	}
}

// raw is a connection that speaks frames.
type raw struct {
	t   testing.TB
	nc  net.Conn
	r   *bufio.Reader
	seq int32
}

func (d *door) dial() *raw {
	d.t.Helper()
	nc, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return &raw{t: d.t, nc: nc, r: bufio.NewReader(nc)}
}

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("raw"))

// send writes a request and returns its correlation.
func (r *raw) send(req kmsg.Request) int32 {
	r.t.Helper()
	r.seq++
	r.write(formatter.AppendRequest(nil, req, r.seq))
	return r.seq
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatalf("write: %v", err)
	}
}

// answer reads one answer and returns its correlation and what follows.
func (r *raw) answer() (int32, []byte) {
	r.t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		r.t.Fatalf("read answer: %v", err)
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(r.r, b); err != nil {
		r.t.Fatalf("read answer: %v", err)
	}
	return int32(binary.BigEndian.Uint32(head[4:])), b
}

// ask sends a request and decodes its answer, which must be all there is in the frame.
func (r *raw) ask(req kmsg.Request) kmsg.Response {
	r.t.Helper()
	want := r.send(req)
	got, b := r.answer()
	if got != want {
		r.t.Fatalf("answer to %d, want %d", got, want)
	}
	return decodeAnswer(r.t, req, b)
}

func decodeAnswer(t testing.TB, req kmsg.Request, b []byte) kmsg.Response {
	t.Helper()
	resp := req.ResponseKind()
	if resp.IsFlexible() && req.Key() != keyApiVersions {
		if len(b) == 0 || b[0] != 0 {
			t.Fatalf("key %d v%d: flexible header without tags", req.Key(), req.GetVersion())
		}
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		t.Fatalf("key %d v%d: decode answer: %v", req.Key(), req.GetVersion(), err)
	}
	if again := resp.AppendTo(nil); string(again) != string(b) {
		t.Fatalf("key %d v%d: not what kmsg encodes:\n%x\n%x", req.Key(), req.GetVersion(), b, again)
	}
	return resp
}

// closed waits until the door closes the connection.
func (r *raw) closed() {
	r.t.Helper()
	if n, err := io.Copy(io.Discard, r.r); n != 0 || (err != nil && isTimeout(err)) {
		r.t.Fatalf("connection not closed: %d bytes, %v", n, err)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func crcOf(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
