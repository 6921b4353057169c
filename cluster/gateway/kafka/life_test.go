package kafka

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// longFetch is a Fetch that waits for an hour.
func longFetch(id [16]byte) *kmsg.FetchRequest {
	req := fetchRequest(12, "t", id, 0)
	req.MaxWaitMillis = int32(time.Hour / time.Millisecond)
	return req
}

// Goal: a door that is told to end answers what is in flight, long polls at once, and then ends. Method:
// a Produce that the port holds and a long poll on two connections, an idle third; stop, let go, read the
// answers.
func TestServeDrains(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.hold = make(chan struct{})
	d := openDoor(t, port)
	producer, consumer, idle := d.dial(), d.dial(), d.dial()
	idle.ask(func() kmsg.Request { r := kmsg.NewPtrMetadataRequest(); return r }())
	producer.send(produceRequest(9, "t", id, 0, testBatch("v", 1)))
	consumer.send(longFetch(id))
	eventually(t, "both reached the port", func() bool { return port.takenAre(1, 1) })
	stopped := make(chan struct{})
	go func() { d.stop(); close(stopped) }()
	consumer.answer()
	consumer.closed()
	idle.closed()
	if _, err := net.Dial("tcp", d.addr); err == nil {
		t.Fatal("the listener still takes connections")
	}
	close(port.hold)
	_, b := producer.answer()
	resp := decodeAnswer(t, produceRequest(9, "", id, 0, nil), b).(*kmsg.ProduceResponse)
	if resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	producer.closed()
	<-stopped
}

// Goal: draining has an end. Method: a port that never answers; Serve must return, and the late answer
// must do no harm.
func TestServeDrainTimeout(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.hold = make(chan struct{})
	member := NewCredit(1 << 20)
	d := openDoor(t, port, func(o *Options) {
		o.DrainTimeout, o.MemberBytes = 50*time.Millisecond, member
	})
	r := d.dial()
	r.send(produceRequest(9, "t", id, 0, testBatch("v", 1)))
	eventually(t, "it reached the port", func() bool { return port.takenAre(1, 0) })
	d.stop()
	r.closed()
	close(port.hold)
	eventually(t, "the late answer gave its credit back", func() bool { return member.Used() == 0 })
}

// Goal: a long poll whose client has gone is given up, and what it fetched is released. Method: close the
// client's end.
func TestGoneClientCancelsFetch(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	member := NewCredit(1 << 20)
	d := openDoor(t, port, func(o *Options) { o.MemberBytes = member })
	r := d.dial()
	r.send(longFetch(id))
	eventually(t, "it waits", func() bool { return port.takenAre(0, 1) })
	r.nc.Close()
	eventually(t, "it was cancelled and released", func() bool {
		return port.cancelled.Load() == 1 && port.released.Load() == 1 && member.Used() == 0
	})
	eventually(t, "the cause is told", func() bool {
		causes := d.seen.causes()
		return len(causes) == 1 && causes[0] == CauseClient
	})
}

// Goal: a panic behind the door costs its connection only. Method: a port that panics, in two kinds of
// handlers.
func TestPanicCostsItsConnection(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	member := NewCredit(1 << 20)
	port.panics = true
	d := openDoor(t, port, func(o *Options) { o.MemberBytes = member })
	list := kmsg.NewPtrListOffsetsRequest()
	partitions := []kmsg.ListOffsetsRequestTopicPartition{{}}
	list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: partitions}}
	for _, req := range []kmsg.Request{produceRequest(9, "t", id, 0, testBatch("v", 1)), list} {
		r := d.dial()
		r.send(req)
		r.closed()
	}
	r := d.dial()
	r.ask(kmsg.NewPtrMetadataRequest())
	eventually(t, "credit is back and two panics were told", func() bool {
		d.seen.mu.Lock()
		defer d.seen.mu.Unlock()
		return member.Used() == 0 && d.seen.panics == 2 &&
			slices.Equal(d.seen.closed, []Cause{CausePanic, CausePanic})
	})
}

// Goal: a client that does not take its answers is cut off, and its buffers are released. Method: fetch
// much more than socket buffers hold and never read.
func TestSlowReaderIsCutOff(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	member := NewCredit(1 << 30)
	d := openDoor(t, port, func(o *Options) {
		o.FrameTimeout, o.MinRate, o.MemberBytes = 100*time.Millisecond, 1<<30, member
	})
	w := openDoor(t, port).dial() // a door that gives large frames their time
	for range 30 {
		w.ask(produceRequest(9, "t", id, 0, testBatch(strings.Repeat("x", 1<<19), 1)))
	}
	r := d.dial()
	r.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	for range 4 {
		req := fetchRequest(12, "t", id, 0)
		req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 50<<20, 50<<20
		r.send(req)
	}
	eventually(t, "it was cut off and everything released", func() bool {
		causes := d.seen.causes()
		return len(causes) == 1 && causes[0] == CauseTimeout && member.Used() == 0 &&
			port.released.Load() == port.fetches.Load()
	})
}

// Goal: connections have a limit, and one that ends makes room. Method: a limit of two.
func TestMaxConnections(t *testing.T) {
	d := openDoor(t, newMemPort(), func(o *Options) { o.MaxConnections = 2 })
	a, b := d.dial(), d.dial()
	a.ask(kmsg.NewPtrMetadataRequest())
	b.ask(kmsg.NewPtrMetadataRequest())
	d.dial().closed()
	a.nc.Close()
	eventually(t, "the first has ended", func() bool { return len(d.seen.causes()) == 2 })
	d.dial().ask(kmsg.NewPtrMetadataRequest())
}

// Goal: a door that nobody could dial does not start. Method: listeners and advertised addresses that are
// none.
func TestAdvertised(t *testing.T) {
	tests := []struct {
		listen, advertised string
		want               endpoint
		ok                 bool
	}{
		{"127.0.0.1:0", "example.org:9092", endpoint{"example.org", 9092}, true},
		{"0.0.0.0:0", "", endpoint{}, false},
		{"0.0.0.0:0", "[::1]:1", endpoint{"::1", 1}, true},
		{"127.0.0.1:0", "example.org", endpoint{}, false},
		{"127.0.0.1:0", "example.org:70000", endpoint{}, false},
	}
	for _, tt := range tests {
		l, err := net.Listen("tcp", tt.listen)
		if err != nil {
			t.Skipf("no listener on %s: %v", tt.listen, err)
		}
		o := Options{Advertised: tt.advertised}
		if e, err := o.advertised(l); (err == nil) != tt.ok || e != tt.want {
			t.Errorf("%+v: got %+v, %v", tt, e, err)
		}
		if !tt.ok {
			if err := Serve(context.Background(), l, newMemPort(), o); err == nil {
				t.Errorf("%+v: Serve started", tt)
			}
		}
		l.Close()
	}
}

// failingListener fails twice before it hands out what is behind it.
type failingListener struct {
	net.Listener
	left atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

// Goal: a listener that fails for a while does not end the door. Method: one that fails twice.
func TestListenerFailsForAWhile(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &failingListener{Listener: inner}
	l.left.Store(2)
	served := make(chan error, 1)
	go func() { served <- Serve(context.Background(), l, newMemPort(), Options{}) }()
	d := &door{t: t, addr: inner.Addr().String()}
	d.dial().ask(kmsg.NewPtrMetadataRequest())
	inner.Close() // the other way to end a door
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

// Goal: a reader that waits for credit ends with the door. Method: a member's budget that others have spent.
func TestStopWhileWaitingForCredit(t *testing.T) {
	member := NewCredit(100)
	member.force(100)
	d := openDoor(t, newMemPort(), func(o *Options) { o.MemberBytes = member })
	r := d.dial()
	r.send(kmsg.NewPtrMetadataRequest())
	eventually(t, "it waits", func() bool {
		member.mu.Lock()
		defer member.mu.Unlock()
		return len(member.waiting) == 1
	})
	d.stop()
	r.closed()
	if member.Used() != member.Limit() {
		t.Fatalf("%d bytes out, want those of the others", member.Used())
	}
}
