package cli

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
)

// dialTimeout bounds one attempt to connect.
const dialTimeout = 3 * time.Second

func addrFlag() urfave.Flag {
	return &urfave.StringFlag{
		Name: grpcDoor.flag, Usage: "gRPC `ADDRESS` of a member (" + grpcDoor.variable + ", or else the current context, or " +
			defaultGRPC + ")",
	}
}

func timeoutFlag() urfave.Flag {
	return &urfave.DurationFlag{
		Name: "timeout", Value: 10 * time.Second, Usage: "wait at most `DURATION` for the answer",
	}
}

// member connects for one command, whose answer has to come within --timeout.
func (s *shell) member(c *urfave.Context, do func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	cl, err := s.connect(ctx, c)
	if err != nil {
		return err
	}
	defer cl.Close()
	return do(ctx, cl)
}

// connect makes the client of a command: of the member at --addr, or else where the context or the environment says. It
// blocks until the member has answered, at most a few seconds, so that a wrong address is told at once. The caller closes
// the client; ctx does not matter to it any more.
func (s *shell) connect(ctx context.Context, c *urfave.Context, opts ...client.Option) (*client.Client, error) {
	addr, err := s.address(c.String(grpcDoor.flag), grpcDoor)
	if err != nil {
		return nil, err
	}
	cl, err := dialMember(ctx, addr, opts...)
	if err == nil {
		return cl, nil
	}
	if c.Context.Err() != nil {
		return nil, c.Context.Err()
	}
	return nil, s.unanswered(c.Context, addr, err)
}

// dialMember connects to a gRPC door.
func dialMember(ctx context.Context, addr string, opts ...client.Option) (*client.Client, error) {
	ping, cancel := context.WithTimeout(ctx, dialTimeout+dialTimeout/2)
	defer cancel()
	return remote.Dial(ping, addr, remote.WithClientID("millstream"), remote.With(opts...))
}

// unanswered says why nobody answers at an address, and looks for the door that was meant.
func (s *shell) unanswered(ctx context.Context, addr string, err error) error {
	f := fail(exitUnreachable, "no member answers at "+addr).because("%s", oneLine(err.Error())).
		hint("start one with `millstream dev`, or name another with --%s", grpcDoor.flag)
	if noun := doorAt(ctx, addr); noun != "" {
		f.what = addr + " is " + article(noun) + " door"
		f.because("this command speaks gRPC").
			hint("--%s with the gRPC door: port %s, unless the member was told another", grpcDoor.flag, portOf(defaultGRPC))
		for _, near := range s.beside(addr, grpcDoor) {
			if grpcBeside(ctx, near, noun, addr) {
				return f.hint("--%s %s", grpcDoor.flag, near)
			}
		}
		return f
	}
	for _, kafka := range s.beside(addr, kafkaDoor) {
		if doorAt(ctx, kafka) == kafkaDoor.noun {
			return f.because("a Kafka door answers at %s, but no gRPC door at %s", kafka, addr).
				hint("--%s with the address of its gRPC door; if it has none, start it with --grpc-listen %s (`millstream dev`: --grpc)",
					grpcDoor.flag, defaultGRPC)
		}
	}
	return f
}

// beside are the addresses on the host of addr where another door may be: the one that the environment or the context
// names, and the usual one.
func (s *shell) beside(addr string, d door) (found []string) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	known, err := s.address("", d)
	if err != nil {
		known = "" // it is not known
	}
	for _, at := range append(strings.Split(known, ","), net.JoinHostPort(host, portOf(d.standard))) {
		if h, _, err := net.SplitHostPort(at); err == nil && h == host && at != addr && !slices.Contains(found, at) {
			found = append(found, at)
		}
	}
	return found
}
