package kafka

import (
	"bufio"
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener hands out one end of a net.Pipe for each dial.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9092} }

// servePipes serves port over net.Pipe, in a bubble, until stop; dial opens a connection.
func servePipes(t *testing.T, port *memPort, o Options) (dial func() *raw, stop func()) {
	t.Helper()
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- Serve(ctx, l, port, o) }()
	dial = func() *raw {
		here, there := net.Pipe()
		l.conns <- there
		return &raw{t: t, nc: here, r: bufio.NewReader(here)}
	}
	return dial, func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// Goal: the door runs in fake time, and its times are what they say. Method: in a bubble, over net.Pipe:
// a long poll of an hour ends after an hour, the connection ten idle minutes later, a half-open one after
// its thirty seconds.
func TestDoorInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := newMemPort()
		id := port.topic("t", 1).ID
		dial, stop := servePipes(t, port, Options{})
		defer stop()
		began := time.Now()
		half := dial()
		half.write([]byte{0, 0})
		half.closed()
		if took := time.Since(began); took != DefaultFrameTimeout {
			t.Fatalf("half-open connection ended after %v", took)
		}
		began = time.Now()
		r := dial()
		r.send(longFetch(id))
		r.answer()
		if took := time.Since(began); took != time.Hour {
			t.Fatalf("long poll answered after %v", took)
		}
		r.closed()
		if took := time.Since(began); took != time.Hour+DefaultIdleTimeout {
			t.Fatalf("connection ended after %v", took)
		}
	})
}

// Goal: an idle connection ends, one that waits for its answer does not. Method: a short idle time, a
// longer poll, in fake time.
func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := newMemPort()
		id := port.topic("t", 1).ID
		const idleFor, wait = 30 * time.Millisecond, 300 * time.Millisecond
		dial, stop := servePipes(t, port, Options{IdleTimeout: idleFor})
		defer stop()
		began := time.Now()
		idle, waiting := dial(), dial()
		req := fetchRequest(12, "t", id, 0)
		req.MaxWaitMillis = int32(wait / time.Millisecond)
		waiting.send(req)
		for _, step := range []struct {
			what string
			come func()
			at   time.Duration
		}{
			{"the idle one ended", idle.closed, idleFor},
			{"the other got its answer", func() { waiting.answer() }, wait},
			{"and ended", waiting.closed, wait + idleFor},
		} {
			if step.come(); time.Since(began) != step.at {
				t.Errorf("%s after %v, want %v", step.what, time.Since(began), step.at)
			}
		}
	})
}
