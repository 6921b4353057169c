package http

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	nethttp "net/http"
	"time"

	"github.com/millstream-io/millstream/cluster/gateway/listener"
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
	err := s.Serve(listener.Limit(l, o.MaxConnections, o.Observer.Refused))
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

// isLoopback reports whether only this machine reaches a listener. Listeners that are no TCP, as in tests,
// count as such.
func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}
