package grpc

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/millstream-io/millstream/cluster/broker"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
)

// callTimeout bounds a call that has no deadline.
const callTimeout = 30 * time.Second

// maxClientID bounds what a client may call itself, in bytes.
const maxClientID = 255

// call is around every unary call.
func (d *door) call(ctx context.Context, req any, info *rpc.UnaryServerInfo, next rpc.UnaryHandler) (answer any, err error) {
	end := d.begin(info.FullMethod)
	defer func() { err = end(recover(), err) }()
	if err := d.admit(); err != nil {
		return nil, err
	}
	if r, ok := req.(*apiv1.ReadRequest); ok {
		return d.records.read(ctx, r)
	}
	return next(ctx, req)
}

// stream is around every stream.
func (d *door) stream(srv any, s rpc.ServerStream, info *rpc.StreamServerInfo, next rpc.StreamHandler) (err error) {
	end := d.begin(info.FullMethod)
	defer func() { err = end(recover(), err) }()
	if err := d.admit(); err != nil {
		return err
	}
	// Returning ends the stream, and so what the handler waits for.
	w := &watched{ServerStream: s, begun: time.Now()}
	ended := d.beside(info.FullMethod, func() error { return next(srv, w) })
	draining := d.draining
	if strings.HasPrefix(info.FullMethod, ownMethods) {
		draining = nil // they see to it; streams of health and reflection know nothing of it
	}
	look := time.NewTicker(max(d.o.SendTimeout/4, time.Millisecond))
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-draining:
			return closing()
		case <-look.C:
			if w.stuck(d.o.SendTimeout) {
				d.o.Observer.Stuck(info.FullMethod)
				return fault.New(fault.RequestTimedOut, "the client has not taken a message for %s", d.o.SendTimeout).
					WithHint("read the stream, or give less credit")
			}
		}
	}
}

// watched is a stream that tells how long the message that is being sent has been waiting.
type watched struct {
	rpc.ServerStream
	begun time.Time
	since atomic.Int64 // nanoseconds from begun to when sending began; 0: none is being sent
}

// SendMsg implements grpc.ServerStream.
func (w *watched) SendMsg(m any) error {
	w.since.Store(int64(time.Since(w.begun)) + 1)
	defer w.since.Store(0)
	return w.ServerStream.SendMsg(m)
}

func (w *watched) stuck(long time.Duration) bool {
	since := w.since.Load()
	return since > 0 && int64(time.Since(w.begun))-since > int64(long)
}

// ownMethods begin the names of this project's calls.
const ownMethods = "/millstream."

// begin counts a call; what it returns ends it, with what it panicked with if it did, and gives its status.
func (d *door) begin(method string) func(panicked any, err error) error {
	d.streams.Add(1)
	d.o.Observer.Began(method)
	begun := d.o.Now()
	return func(panicked any, err error) error {
		d.streams.Add(-1)
		if panicked != nil {
			err = d.broken(method, panicked)
		}
		err = wire.StatusOf(err)
		d.o.Observer.Ended(method, status.Code(err).String(), d.o.Now().Sub(begun))
		return err
	}
}

// broken is the refusal of a call that panicked.
func (d *door) broken(method string, panicked any) error {
	d.o.Observer.Panicked(method)
	d.o.Logger.Error("grpc call panicked", "method", method, "err", fmt.Sprint(panicked), "stack", string(debug.Stack()))
	return fault.New(fault.Unknown, "the call broke off").WithHint("the member's log says why")
}

// beside runs the receiving side of a stream; the channel has how it ended. A panic costs the stream.
func (d *door) beside(method string, receive func() error) <-chan error {
	ended := make(chan error, 1)
	d.wg.Go(func() {
		var err error
		defer func() {
			if p := recover(); p != nil {
				err = d.broken(method, p)
			}
			ended <- err
		}()
		err = receive()
	})
	return ended
}

// admit refuses a call that is one too many.
func (d *door) admit() error {
	if d.streams.Load() > int64(d.o.MaxStreams) {
		return fault.New(fault.ThrottlingQuotaExceeded, "%d calls and streams are open on this member, as many as it takes",
			d.o.MaxStreams).WithHint("retry in a moment, with fewer streams")
	}
	return nil
}

// closing is what streams are told when the door ends.
func closing() error {
	return fault.New(fault.Closing, "the member is closing").WithHint("connect again in a moment, or to another member")
}

// whoOf says where a call comes from.
func whoOf(ctx context.Context) broker.Who {
	who := broker.Who{Remote: "unknown"}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		who.Remote = p.Addr.String()
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, key := range []string{"client-id", "user-agent"} {
		if v := md.Get(key); len(v) > 0 && v[0] != "" {
			who.ClientID = v[0][:min(len(v[0]), maxClientID)]
			break
		}
	}
	return who
}

// by is the deadline of a call's work: the call's, or callTimeout from now.
func (d *door) by(ctx context.Context) time.Time {
	if t, ok := ctx.Deadline(); ok {
		return t
	}
	return d.o.Now().Add(callTimeout)
}

// some refuses lists that are too long.
func (d *door) some(what string, n int) error {
	if n > d.o.MaxPartitions {
		return fault.New(fault.InvalidRequest, "%d %s in one request, at most %d are taken", n, what, d.o.MaxPartitions).
			WithHint("ask for fewer at a time")
	}
	return nil
}

// connections follows connections, as the transport tells of them.
type connections struct{ d *door }

// connKey finds the connection's state in a context.
type connKey struct{}

// connState is what calls of one connection leave with it: accounts to settle when it ends.
type connState struct {
	mu       sync.Mutex
	accounts map[*account]struct{}
	ended    bool
}

// keep has the account settled when the connection ends, or forgotten where drop is called first.
func (c *connState) keep(a *account) (drop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		a.settle()
		return func() {}
	}
	c.accounts[a] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.accounts, a)
	}
}

// TagConn implements stats.Handler.
func (c connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connKey{}, &connState{accounts: map[*account]struct{}{}})
}

// HandleConn implements stats.Handler.
func (c connections) HandleConn(ctx context.Context, s stats.ConnStats) {
	switch s.(type) {
	case *stats.ConnBegin:
		c.d.o.Observer.Opened()
	case *stats.ConnEnd:
		c.d.o.Observer.Closed()
		state := ctx.Value(connKey{}).(*connState)
		state.mu.Lock()
		defer state.mu.Unlock()
		state.ended = true
		for a := range state.accounts {
			a.settle()
		}
		clear(state.accounts)
	}
}

// TagRPC implements stats.Handler.
func (c connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (c connections) HandleRPC(context.Context, stats.RPCStats) {}
