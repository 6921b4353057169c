package grpc

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	rpc "google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/gateway/listener"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
)

// Sizes of the transport, in bytes. A stream's window bounds what its client may send before the handler takes it.
const (
	streamWindow = 1 << 20
	connWindow   = 4 << 20
	ioBuffer     = 128 << 10
	headerBytes  = 16 << 10
)

// connectTimeout is how long a new connection may take to begin.
const connectTimeout = 20 * time.Second

// door is one door being served.
type door struct {
	port    broker.Port
	o       Options
	records *records
	reading *readBudget

	draining  chan struct{} // closed when the door ends: streams say so and end
	streams   atomic.Int64
	published atomic.Uint32  // spreads records without a key
	wg        sync.WaitGroup // of goroutines beside the handlers'
}

// Serve takes connections from l and answers their calls from p. It blocks until ctx ends or l fails; then it takes
// nothing more, lets what is in flight finish, for at most DrainTimeout, tells streams that it closes, and returns when
// all its goroutines have ended. It closes l. The error is nil where ctx was the reason.
func Serve(ctx context.Context, l net.Listener, p broker.Port, o Options) error {
	d := &door{port: p, o: o.withDefaults(), draining: make(chan struct{})}
	d.records = &records{d: d}
	d.reading = &readBudget{member: d.o.MemberBytes, limit: d.o.ReadBytes}
	s, alive := d.server()
	drained := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(drained)
		alive.Shutdown()
		d.drain(s)
	})
	err := s.Serve(listener.Limit(l, d.o.MaxConnections, d.o.Observer.Refused))
	if unhook() { // the listener failed by itself
		alive.Shutdown()
		d.drain(s)
		d.wg.Wait()
		return fmt.Errorf("serve grpc on %s: %w", l.Addr(), err)
	}
	<-drained
	d.wg.Wait()
	return nil
}

// server makes the gRPC server with everything that it serves.
func (d *door) server() (*rpc.Server, *health.Server) {
	s := rpc.NewServer(
		rpc.ForceServerCodecV2(wire.Codec()),
		rpc.MaxRecvMsgSize(MaxMessageBytes),
		rpc.MaxConcurrentStreams(uint32(d.o.ConnStreams)),
		rpc.StaticStreamWindowSize(streamWindow), rpc.StaticConnWindowSize(connWindow),
		rpc.ReadBufferSize(ioBuffer), rpc.WriteBufferSize(ioBuffer), rpc.SharedWriteBuffer(true),
		experimental.BufferPool(wire.Buffers()),
		rpc.MaxHeaderListSize(headerBytes), rpc.ConnectionTimeout(connectTimeout), rpc.WaitForHandlers(true),
		rpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: d.o.IdleTimeout, Time: d.o.KeepaliveTime, Timeout: d.o.KeepaliveTimeout,
		}),
		rpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: d.o.MinPing, PermitWithoutStream: true}),
		rpc.ChainUnaryInterceptor(d.call), rpc.ChainStreamInterceptor(d.stream),
		rpc.StatsHandler(connections{d}),
	)
	apiv1.RegisterRecordsServer(s, d.records)
	apiv1.RegisterTopicsServer(s, &topics{d: d})
	apiv1.RegisterGroupsServer(s, &groups{d: d})
	apiv1.RegisterConsumerServer(s, &consumer{d: d})
	if d.o.Apps != nil {
		apiv1.RegisterAppsServer(s, &apps{d: d})
	}
	alive := health.NewServer()
	healthv1.RegisterHealthServer(s, alive)
	reflection.Register(s)
	return s, alive
}

// drain ends the server: politely, and after DrainTimeout at once.
func (d *door) drain(s *rpc.Server) {
	close(d.draining)
	late := time.AfterFunc(d.o.DrainTimeout, s.Stop)
	defer late.Stop()
	s.GracefulStop()
}
