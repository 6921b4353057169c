package remote_test

import (
	"context"
	"fmt"
	"log"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client/remote"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"

	"github.com/millstream-io/millstream/cluster/client"
)

// Dial makes a client of a member in another process.
func ExampleDial() {
	addr, stop := aMember()
	defer stop()

	ctx := context.Background()
	c, err := remote.Dial(ctx, addr, remote.WithClientID("orders"), remote.With(client.WithMaxBufferedBytes(8<<20)))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	lines := topology.NewTopic("lines", serde.String, serde.String)
	offset, err := client.Send(ctx, c, lines, "alice", "hello")
	fmt.Println(offset, err)
	// Output: 0 <nil>
}

// aMember stands for one that runs elsewhere: `millstream dev` listens on 127.0.0.1:7070.
func aMember() (addr string, stop func()) {
	m, err := cluster.Start(context.Background(), cluster.Config{GRPC: ":0", AutoCreateTopics: true})
	if err != nil {
		log.Fatal(err)
	}
	return m.GRPCAddr(), func() { _ = m.Close() }
}
