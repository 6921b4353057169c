package remote

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/api/wire"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"

	"github.com/millstream-io/millstream/cluster/client"
)

// transport is a client.Transport over one gRPC connection.
type transport struct {
	addr     string
	o        options
	conn     *grpc.ClientConn
	records  apiv1.RecordsClient
	topics   apiv1.TopicsClient
	groups   apiv1.GroupsClient
	consumer apiv1.ConsumerClient
	apps     apiv1.AppsClient

	life context.Context // ends in Close, and all streams with it
	end  context.CancelFunc
	out  *producing

	mu     sync.Mutex
	closed bool
	jobs   sync.WaitGroup
}

var (
	_ client.Transport = (*transport)(nil)
	_ client.Borrower  = (*transport)(nil)
)

// Close implements client.Transport.
func (t *transport) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.out.stop()
	t.end()
	t.jobs.Wait()
	return t.conn.Close()
}

// spawn runs a job that ends with t.life; Close waits for it. It reports false once the transport is closed.
func (t *transport) spawn(job func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.jobs.Go(job)
	return true
}

// with adds to a call who it is from.
func (t *transport) with(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "client-id", t.o.clientID)
}

// refusal is the error of a call as it would be in-process: the member's refusal, or the end of ctx, or that the
// member can't be reached.
func (t *transport) refusal(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	refused := wire.RefusalOf(err)
	if errors.As(refused, new(*fault.Error)) {
		return refused
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.Canceled:
		return fault.New(fault.Closing, "the client is closed")
	case codes.DeadlineExceeded:
		return fault.New(fault.RequestTimedOut, "member %s did not answer in time", t.addr)
	case codes.ResourceExhausted:
		return fault.New(fault.RecordListTooLarge, "a message between this client and member %s is too large: %s", t.addr,
			s.Message())
	case codes.Unimplemented:
		return fault.New(fault.UnsupportedVersion, "member %s does not know the call: %s", t.addr, s.Message()).
			WithHint("is that the gRPC door of a member, of this version?")
	case codes.Unavailable:
		return unreachable(t.addr, errors.New(s.Message()))
	}
	return fault.New(fault.Unknown, "call to member %s: %s", t.addr, s.Message())
}

func unreachable(addr string, err error) error {
	return fault.New(fault.Unreachable, "member %s can't be reached: %w", addr, err).
		WithHint("check the address, and that the member runs with its gRPC door open")
}

// idOf is a topic id on the wire: empty where there is none.
func idOf(id record.TopicID) []byte {
	if id == (record.TopicID{}) {
		return nil
	}
	return id[:]
}

func topicID(b []byte) (id record.TopicID) {
	copy(id[:], b)
	return id
}

// convert applies f to each element.
func convert[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}
