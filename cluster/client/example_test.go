package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// A typed topic is declared once and used by clients and topologies alike.
var lines = topology.NewTopic("lines", serde.String, serde.String)

// aMember has a topic "lines" with two lines. remote.Dial gives the same client of a member elsewhere.
func aMember() *cluster.Member {
	ctx := context.Background()
	m, err := cluster.Start(ctx, cluster.Config{AutoCreateTopics: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range []string{"hello", "world"} {
		if _, err := client.Send(ctx, m.Client(), lines, "alice", line); err != nil {
			log.Fatal(err)
		}
	}
	return m
}

// Send writes one typed record and waits until it is durable.
func ExampleSend() {
	m := aMember()
	defer m.Close()

	offset, err := client.Send(context.Background(), m.Client(), lines, "alice", "again")
	fmt.Println("at offset", offset, err)
	// Output: at offset 2 <nil>
}

// Many records are under way at a time; Flush waits for their answers.
func ExampleClient_ProduceAsync() {
	m := aMember()
	defer m.Close()

	ctx, c := context.Background(), m.Client()
	for i := range 3 {
		c.ProduceAsync(ctx, client.Record{Topic: "numbers", Value: fmt.Append(nil, i)}, func(d client.Delivery) {
			fmt.Println(d.Topic, d.Partition, d.Offset, d.Err)
		})
	}
	if err := c.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// numbers 0 0 <nil>
	// numbers 0 1 <nil>
	// numbers 0 2 <nil>
}

// A future is asked for its answer later, or not at all.
func ExampleClient_ProduceFuture() {
	m := aMember()
	defer m.Close()

	ctx := context.Background()
	f := m.Client().ProduceFuture(ctx, client.Record{Topic: "numbers", Value: []byte("1")})
	offset, err := f.Wait(ctx)
	fmt.Println(offset, err)
	// Output: 0 <nil>
}

// A consumer reads the partitions that it is told to, from where it is told to.
func ExampleConsumer_Poll() {
	m := aMember()
	defer m.Close()

	ctx := context.Background()
	k := m.Client().Consumer()
	defer k.Close()
	if err := k.Assign(ctx, "lines", client.FromLast(1)); err != nil {
		log.Fatal(err)
	}
	records, err := k.Poll(ctx)
	for _, r := range records {
		fmt.Println(r.Partition, r.Offset, string(r.Key), string(r.Value))
	}
	fmt.Println(err)
	// Output:
	// 0 1 alice world
	// <nil>
}

// A loop over typed records waits for more; it may be left at any record.
func ExampleRecords() {
	m := aMember()
	defer m.Close()

	ctx := context.Background()
	k := m.Client().Consumer()
	defer k.Close()
	if err := k.Assign(ctx, lines.Name, client.FromEarliest()); err != nil {
		log.Fatal(err)
	}
	for r, err := range client.Records(ctx, k, lines) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Key, r.Value)
		if r.Record.Offset == 1 {
			break
		}
	}
	// Output:
	// alice hello
	// alice world
}

// Members of a group share partitions. What Poll returned is committed in the background once Poll is called again;
// Commit does it now.
func ExampleClient_Group() {
	m := aMember()
	defer m.Close()

	ctx := context.Background()
	g, err := m.Client().Group(ctx, "readers", []string{"lines"}, client.WithStart(client.FromEarliest()))
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	for n := 0; n < 2; {
		records, err := g.Poll(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for _, r := range records {
			fmt.Println(string(r.Value))
		}
		n += len(records)
	}
	fmt.Println(g.Commit(ctx))
	// Output:
	// hello
	// world
	// <nil>
}

// The same client administers topics and groups. Refusals say what to try.
func ExampleClient_CreateTopic() {
	m := aMember()
	defer m.Close()

	ctx, c := context.Background(), m.Client()
	topic, err := c.CreateTopic(ctx, client.NewTopic{Name: "orders", Partitions: 3})
	fmt.Println(topic.Name, topic.Partitions, err)
	_, err = c.CreateTopic(ctx, client.NewTopic{Name: "orders"})
	fmt.Println(errors.Is(err, fault.TopicAlreadyExists), err)
	err = c.AlterConfigs(ctx, client.ConfigChange{Topic: "orders", Set: map[string]string{"retention.ms": "3600000"}})
	fmt.Println(err)
	// Output:
	// orders 3 <nil>
	// true topic orders exists already; use it, or delete it first
	// <nil>
}

// A reset is planned first, and shows what it would do.
func ExampleClient_PlanReset() {
	m := aMember()
	defer m.Close()

	ctx, c := context.Background(), m.Client()
	all := []client.TopicPartition{{Topic: "lines", Partition: 0}}
	moves, err := c.PlanReset(ctx, "readers", client.Reset{Parts: all, To: client.FromLatest()})
	fmt.Println(moves, err)
	_, err = c.ResetGroup(ctx, "readers", client.Reset{Parts: all, To: client.FromLatest()})
	fmt.Println(err)
	// Output:
	// [{{lines 0} -1 2}] <nil>
	// <nil>
}

func ExampleEncode() {
	r, err := client.Encode(lines, "alice", "hello")
	fmt.Println(r.Topic, string(r.Key), string(r.Value), err)
	// Output: lines alice hello <nil>
}
