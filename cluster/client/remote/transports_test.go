package remote_test

import (
	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
)

// transports are the ways to a member that the client tests run over.
var transports = []struct {
	name string
	open func(w *world, c cluster.Config) func(...client.Option) *client.Client
}{
	{"in-process", func(w *world, c cluster.Config) func(...client.Option) *client.Client {
		w.start(c)
		return func(opts ...client.Option) *client.Client { return w.keep(w.member.NewClient(opts...)) }
	}},
	{"grpc", func(w *world, c cluster.Config) func(...client.Option) *client.Client {
		c.GRPC = ":0"
		w.start(c)
		return func(opts ...client.Option) *client.Client {
			cl, err := remote.Dial(within(w.t), w.member.GRPCAddr(), remote.With(opts...))
			if err != nil {
				w.t.Fatal(err)
			}
			return w.keep(cl)
		}
	}},
}
