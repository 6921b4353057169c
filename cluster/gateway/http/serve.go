package http

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	nethttp "net/http"
	"time"
)

// Serve answers requests from l. It blocks until ctx ends or l fails; then it takes no further connection,
// cuts profiles short, lets the answers in flight finish, for at most DrainTimeout, and returns when all its
// goroutines have ended. It closes l. The error is nil where ctx was the reason.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	o = o.withDefaults()
	s := &nethttp.Server{
		Handler:           handler(o, isLoopback(l.Addr())),
		ReadHeaderTimeout: o.HeaderTimeout,
		ReadTimeout:       o.ReadTimeout,
		WriteTimeout:      o.WriteTimeout,
		IdleTimeout:       o.IdleTimeout,
		MaxHeaderBytes:    o.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Logger.With("lib", "net/http").Handler(), slog.LevelWarn),
		// The end of the door ends what a request waits for.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	drained := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(drained)
		drain(s, o.DrainTimeout)
	})
	bounded := &bounded{Listener: l, free: make(chan struct{}, o.MaxConnections), refused: o.Observer.Refused}
	err := s.Serve(bounded)
	if unhook() { // the listener failed by itself
		drain(s, o.DrainTimeout)
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	}
	<-drained
	return nil
}

// drain lets answers in flight finish, and cuts those that take too long.
func drain(s *nethttp.Server, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		_ = s.Close()
	}
}

// bounded is a listener that closes connections beyond a number at once, instead of letting them wait unseen.
type bounded struct {
	net.Listener
	free    chan struct{} // holds a value for each connection
	refused func()
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.free <- struct{}{}:
			return &boundedConn{Conn: c, l: b}, nil
		default:
			_ = c.Close()
			b.refused()
		}
	}
}

// boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	l      *bounded
	closed atomicOnce
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	if c.closed.first() {
		<-c.l.free
	}
	return err
}

// isLoopback reports whether only this machine reaches a listener. Listeners that are no TCP, as in tests,
// count as such.
func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}
