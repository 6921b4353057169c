package remote

import (
	"context"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"

	"github.com/millstream-io/millstream/cluster/client"
)

// Limits and times of a connection.
const (
	dialTimeout       = 10 * time.Second // of Dial, where its ctx has no deadline
	connectTimeout    = 3 * time.Second
	leastReconnect    = 50 * time.Millisecond
	mostReconnect     = time.Second
	pingAfter         = 30 * time.Second // of silence while something is under way
	pingTimeout       = 10 * time.Second
	maxMessageBytes   = 64 << 20 // above what a member sends: 32 MiB and a batch
	streamWindow      = 4 << 20
	connectionWindow  = 16 << 20
	socketBufferBytes = 256 << 10
)

type options struct {
	clientID string
	logger   *slog.Logger
	dial     func(ctx context.Context, addr string) (net.Conn, error)
	client   []client.Option
}

// Option changes how Dial connects, and the client that it makes.
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// With gives options to the client that Dial makes.
func With(opts ...client.Option) Option {
	return optionFunc(func(o *options) { o.client = append(o.client, opts...) })
}

// WithClientID names the client in the member's logs and where groups describe their members.
func WithClientID(id string) Option {
	return optionFunc(func(o *options) { o.clientID = id })
}

// WithLogger has the client tell of connections that break, and what client.WithLogger says.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(o *options) { o.logger = l })
}

// WithDialer makes connections in another way than over TCP.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return optionFunc(func(o *options) { o.dial = dial })
}

// Dial connects to the gRPC door of a member at addr, "host:port", and returns a client of it; its Close ends the
// connection. It blocks until the member has answered, at most 10 s where ctx has no deadline, so that a wrong address
// is told at once; ctx does not matter afterwards. A connection that breaks later is made again. Error:
// fault.Unreachable.
func Dial(ctx context.Context, addr string, opts ...Option) (*client.Client, error) {
	o := options{clientID: "millstream-go", logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt.apply(&o)
	}
	t, err := open(addr, o)
	if err != nil {
		return nil, err
	}
	if err := t.greet(ctx); err != nil {
		_ = t.Close() // nothing was sent
		return nil, err
	}
	base := []client.Option{client.WithClientID(o.clientID), client.WithLogger(o.logger)}
	return client.New(t, append(base, o.client...)...), nil
}

// open makes a transport without connecting.
func open(addr string, o options) (*transport, error) {
	params := backoff.Config{BaseDelay: leastReconnect, Multiplier: 2, Jitter: 0.2, MaxDelay: mostReconnect}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec()), grpc.MaxCallRecvMsgSize(maxMessageBytes),
			grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: params, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow),
		grpc.WithReadBufferSize(socketBufferBytes), grpc.WithWriteBufferSize(socketBufferBytes),
		experimental.WithBufferPool(wire.Buffers()),
		grpc.WithDisableServiceConfig(), grpc.WithUserAgent("millstream-go"), grpc.WithNoProxy(),
	}
	if o.dial != nil {
		opts = append(opts, grpc.WithContextDialer(o.dial))
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		return nil, unreachable(addr, err)
	}
	t := &transport{
		addr: addr, conn: conn, o: o, records: apiv1.NewRecordsClient(conn), topics: apiv1.NewTopicsClient(conn),
		groups: apiv1.NewGroupsClient(conn), consumer: apiv1.NewConsumerClient(conn),
		apps: apiv1.NewAppsClient(conn),
	}
	t.life, t.end = context.WithCancel(context.Background())
	t.out = newProducing(t)
	return t, nil
}

// greet asks the member who it is.
func (t *transport) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	_, err := t.topics.DescribeCluster(t.with(ctx), &apiv1.DescribeClusterRequest{})
	return t.refusal(ctx, err)
}
