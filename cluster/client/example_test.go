package client_test

import (
	"context"
	"fmt"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// A typed topic is declared once and used by clients and topologies alike.
var lines = topology.NewTopic("lines", serde.String, serde.String)

// Send writes one typed record and waits until it is durable.
func ExampleSend() {
	run := func(ctx context.Context, c *client.Client) error {
		offset, err := client.Send(ctx, c, lines, "alice", "hello")
		if err != nil {
			return err
		}
		fmt.Println("at offset", offset)
		return nil
	}
	_ = run // c is a member's Client, or one over another Transport
}

// A consumer reads the partitions that it is told to, from where it is told to.
func ExampleConsumer_Poll() {
	run := func(ctx context.Context, c *client.Client) error {
		k := c.Consumer()
		defer k.Close()
		if err := k.Assign(ctx, "lines", client.FromLast(10)); err != nil {
			return err
		}
		for {
			records, err := k.Poll(ctx)
			if err != nil {
				return err
			}
			for _, r := range records {
				key, line, err := client.Decode(lines, r)
				if err != nil {
					return err
				}
				fmt.Println(r.Partition, r.Offset, key, line)
			}
		}
	}
	_ = run
}

func ExampleEncode() {
	r, err := client.Encode(lines, "alice", "hello")
	fmt.Println(r.Topic, string(r.Key), string(r.Value), err)
	// Output: lines alice hello <nil>
}
