package remote_test

import (
	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
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
}
