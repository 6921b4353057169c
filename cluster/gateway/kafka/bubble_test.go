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

// Goal: the door runs in fake time, and its times are what they say. Method: in a bubble, over net.Pipe:
// a long poll of an hour ends after an hour, the connection ten idle minutes later, a half-open one after
// its thirty seconds.
func TestDoorInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := newMemPort()
		id := port.topic("t", 1).ID
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- Serve(ctx, l, port, Options{}) }()
		dial := func() *raw {
			here, there := net.Pipe()
			l.conns <- there
			return &raw{t: t, nc: here, r: bufio.NewReader(here)}
		}
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
		cancel()
		if err := <-served; err != nil {
			t.Fatal(err)
		}
	})
}
