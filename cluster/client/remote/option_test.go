package remote_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Goal: a null value is null for its reader, and not the zero value of its type. Method: a number, then null.
func TestSendNull(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 1)
		topic := topology.NewTopic("t", serde.String, serde.Int64)
		if _, err := client.Send(within(w.t), c, topic, "k", 0); err != nil {
			w.t.Fatal(err)
		}
		if o, err := client.SendNull(within(w.t), c, topic, "k"); err != nil || o != 1 {
			w.t.Fatal(o, err)
		}
		rs := w.readAll(c, "t")
		if len(rs) != 2 || rs[0].Value == nil || rs[1].Value != nil || string(rs[1].Key) != string(rs[0].Key) {
			w.t.Errorf("%v", rs)
		}
	})
}

// Goal: an observer hears of every batch that is written, refused ones too, and of what is read. Method: records that
// are taken, one that is refused, and a reader of all.
func TestObserver(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		var mu sync.Mutex
		written, read, wrong := 0, 0, 0
		c := w.client(client.WithObserver(client.Observer{
			Answered: func(a client.Attempt) {
				mu.Lock()
				defer mu.Unlock()
				if a.Err != nil {
					wrong++
					return
				}
				written += a.Records
			},
			Read: func(r client.Reading) { mu.Lock(); defer mu.Unlock(); read += r.Records },
		}))
		w.topic(c, "t", 2, "max.message.bytes", "2000")
		w.produce(c, "t", 0, 50)
		if _, err := c.Produce(within(w.t), client.Record{Topic: "t", Value: make([]byte, 3000)}); err == nil {
			w.t.Error("a record too large was taken")
		}
		w.readAll(c, "t")
		mu.Lock()
		defer mu.Unlock()
		if written != 50 || read != 50 || wrong != 1 {
			w.t.Errorf("%d written, %d read, %d refused", written, read, wrong)
		}
	})
}

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.Write(b) }
func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), s)
}

// Goal: connections are made as the dialer says, and the log tells of one that broke. Method: a dialer that counts and
// hands out connections that the test can cut; a record under way when it is cut.
func TestDialerAndLogger(t *testing.T) {
	t.Parallel()
	w, p := behind(t, cluster.Config{})
	log, dialed := &lines{}, atomic.Int64{}
	c, err := remote.Dial(within(t), "a name that only the dialer knows",
		remote.WithLogger(slog.New(slog.NewTextHandler(log, nil))),
		remote.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if addr != "a name that only the dialer knows" {
				return nil, fault.New(fault.InvalidRequest, "asked for %q", addr)
			}
			dialed.Add(1)
			return (&net.Dialer{}).DialContext(ctx, "tcp", p.addr())
		}))
	if err != nil {
		t.Fatal(err)
	}
	w.keep(c)
	w.topic(c, "t", 1)
	if dialed.Load() != 1 {
		t.Errorf("%d connections were made", dialed.Load())
	}
	eventually(t, "the log tells of a broken connection", func() bool {
		c.ProduceAsync(within(t), client.Record{Topic: "t", Value: make([]byte, 1000)}, func(client.Delivery) {})
		p.cutAll()
		return log.has("connection broke under batches")
	})
	if err := c.Flush(within(t)); err != nil || dialed.Load() < 2 {
		t.Errorf("%v after %d connections", err, dialed.Load())
	}
}
