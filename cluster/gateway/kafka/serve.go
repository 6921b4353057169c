package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
)

// The pause after a listener's error doubles between these.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// server is one door.
type server struct {
	port broker.Port
	o    Options
	self endpoint

	mu    sync.Mutex
	conns map[*conn]struct{}
	ended bool
	wg    sync.WaitGroup
}

// Serve takes connections from l and answers their requests from p. It blocks until ctx ends or l is
// closed; then it reads nothing more, answers what is in flight, for at most DrainTimeout, ends the
// connections and returns nil when all its goroutines have ended. It closes l. The error is not nil where
// the door could not start.
func Serve(ctx context.Context, l net.Listener, p broker.Port, o Options) error {
	o = o.withDefaults()
	self, err := o.advertised(l)
	if err != nil {
		l.Close()
		return fmt.Errorf("serve kafka: %w", err)
	}
	s := &server{port: p, o: o, self: self, conns: map[*conn]struct{}{}}
	unhook := context.AfterFunc(ctx, func() { l.Close() })
	s.accept(ctx, l)
	unhook()
	l.Close()
	s.drain()
	return nil
}

// accept takes connections until the listener is closed.
func (s *server) accept(ctx context.Context, l net.Listener) {
	pause := acceptPauseMin
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = acceptPauseMin
			s.open(nc)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		s.o.Logger.Warn("kafka listener refuses", "err", err, "pause", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, acceptPauseMax)
	}
}

// open starts a connection, unless there are too many.
func (s *server) open(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.o.MaxConnections {
		nc.Close()
		s.o.Observer.Closed(CauseLimit)
		s.o.Logger.Warn("kafka connection refused", "remote", nc.RemoteAddr().String(),
			"err", "too many connections", "limit", s.o.MaxConnections)
		return
	}
	c := newConn(s, nc)
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.o.Observer.Opened()
	go func() {
		defer s.wg.Done()
		c.run()
		s.forget(c)
	}()
}

func (s *server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.o.Observer.Closed(c.ended())
}

// drain ends all connections: those that are still busy after DrainTimeout at once.
func (s *server) drain() {
	s.each(func(c *conn) { c.endReading(CauseDrain) })
	late := time.AfterFunc(s.o.DrainTimeout, func() {
		s.each(func(c *conn) { c.kill(CauseDrain) })
	})
	defer late.Stop()
	s.wg.Wait()
}

func (s *server) each(fn func(*conn)) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		fn(c)
	}
}
