package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/benchmarks/load"
)

func (s *shell) benchCommand() *urfave.Command {
	return &urfave.Command{
		Name: "bench", Usage: "measure a member, or any server that speaks Kafka's protocol",
		Description: "With --rate the load is open: so many records a second, whatever the server does, and a latency counts\n" +
			"from the moment a record was meant to be sent. Without, produce sends as fast as --in-flight allows, and\n" +
			"measures the rate. Client and server share the machine where they run on one: then both are measured.",
		Subcommands: []*urfave.Command{
			{
				Name: "produce", Usage: "write to TOPIC, or to one made for it and deleted at the end", ArgsUsage: "[TOPIC]",
				Flags: append(writingFlags(0, "as many as go"), benchFlags()...), Action: s.benchProduce,
			},
			{
				Name: "consume", Usage: "read what TOPIC holds", ArgsUsage: "TOPIC", Action: s.benchConsume,
				Description: "Each client reads all of it. It ends when all has been read, when nothing more comes, or after --for.",
				Flags:       benchFlags(),
			},
			{
				Name: "e2e", Usage: "write and read beside, and measure from one to the other", ArgsUsage: "[TOPIC]",
				Description: "Latencies are those from the moment a record was meant to be sent to the reader. What was acknowledged\n" +
					"has to be read, once; else the command fails.",
				Flags: append(writingFlags(1000, ""), benchFlags()...), Action: s.benchEndToEnd,
			},
		},
		Action: func(c *urfave.Context) error { return urfave.ShowSubcommandHelp(c) },
	}
}

// writingFlags are those of what writes.
func writingFlags(rate float64, standing string) []urfave.Flag {
	return []urfave.Flag{
		&urfave.Float64Flag{Name: "rate", Value: rate, DefaultText: standing, Usage: "`RECORDS` a second, all clients together"},
		&urfave.IntFlag{Name: "size", Value: 1000, Usage: "`BYTES` of a value, at least " + strconv.Itoa(load.LeastValue)},
		&urfave.BoolFlag{Name: "text", Usage: "values like JSON, which compress; else they do not"},
		&urfave.IntFlag{Name: "partitions", Value: 1, Usage: "of the topic that is made"},
		&urfave.IntFlag{Name: "in-flight", Value: 1000,
			Usage: "`RECORDS` that a client may have unanswered; with 1 it waits for each"},
		&urfave.StringFlag{Name: "acks", Value: "all", Usage: "when a record counts as written: 0, 1 or all"},
		&urfave.StringFlag{Name: "compression", Value: "none", Usage: "none, gzip, snappy, lz4 or zstd"},
		&urfave.DurationFlag{Name: "warm-up", Value: time.Second, Usage: "`DURATION` that is not measured, first"},
	}
}

// benchFlags are those of every bench.
func benchFlags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.IntFlag{Name: "clients", Value: 1, Usage: "how many, each on a connection of its own"},
		&urfave.DurationFlag{Name: "for", Value: 10 * time.Second, Usage: "measure for `DURATION`"},
		&urfave.StringFlag{Name: "door", Value: "kafka", Usage: "kafka or grpc"},
		&urfave.StringFlag{Name: kafkaDoor.flag, Usage: "Kafka `ADDRESS` of one or more members, by commas (" +
			kafkaDoor.variable + ", or else the current context, or " + defaultBrokers + ")"},
		&urfave.StringFlag{Name: grpcDoor.flag, Usage: "gRPC `ADDRESS` of a member, which says --door grpc too (" +
			grpcDoor.variable + ", or else the current context, or " + defaultGRPC + ")"},
		timeoutFlag(), outputFlag(),
	}
}

// benchDoor is what both doors can do.
type benchDoor interface {
	load.Door
	Delete(ctx context.Context, topics ...string) error
	Length(ctx context.Context, topic string) (records int64, err error)
	ReaderFromEnd(ctx context.Context, topics ...string) (load.Reader, error)
}

// bench is one measurement.
type bench struct {
	s     *shell
	c     *urfave.Context
	door  benchDoor
	topic string
	made  bool // the topic was made for it
	benchReport
}

// newBench takes the options, finds the member and the topic. The caller calls end.
func (s *shell) newBench(c *urfave.Context, kind string, writes bool) (*bench, error) {
	b := &bench{s: s, c: c, benchReport: benchReport{Bench: kind, Clients: c.Int("clients")}}
	if err := b.check(writes); err != nil {
		return nil, err
	}
	var err error
	if b.door, err = b.open(writes); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	if b.topic = c.Args().First(); b.topic == "" {
		b.topic, b.made = fmt.Sprintf("bench-%08x", rand.Uint32()), true
		err = b.door.Create(ctx, c.Int("partitions"), b.topic)
	} else {
		b.held, err = b.door.Length(ctx, b.topic)
	}
	b.Topic = b.topic
	if err != nil {
		return nil, b.failed(fmt.Sprintf("topic %q cannot be used", b.topic), err)
	}
	return b, nil
}

// check refuses what nobody can measure.
func (b *bench) check(writes bool) error {
	c := b.c
	most, noun := 1, "[TOPIC]"
	if !writes {
		noun = "TOPIC"
	}
	if c.NArg() > most || !writes && c.NArg() == 0 {
		return usage("%s takes one %s, %d given", c.Command.HelpName, noun, c.NArg()).hint("%s --help", c.Command.HelpName)
	}
	if err := checkOutput(c.String("output")); err != nil {
		return err
	}
	positive := []string{"clients"}
	if writes {
		positive = append(positive, "partitions", "in-flight")
	}
	for _, name := range positive {
		if n := c.Int(name); n < 1 || n > 100_000 {
			return usage("--%s %d is out of range", name, n).hint("a number from 1")
		}
	}
	if c.Duration("for") <= 0 || writes && c.Duration("warm-up") < 0 {
		return usage("--for and --warm-up are times that pass").hint("--for 10s")
	}
	if !writes {
		return nil
	}
	if n := c.Int("size"); n < load.LeastValue || n > 8<<20 {
		return usage("--size %d is out of range", n).because("a value needs %d bytes to be recognised", load.LeastValue).
			hint("a number from %d to %d", load.LeastValue, 8<<20)
	}
	if r := c.Float64("rate"); r < 0 || r > 1e9 || r == 0 && (c.IsSet("rate") || b.Bench == "e2e") {
		return usage("--rate %v is out of range", r).hint("--rate 1000")
	}
	return nil
}

// open makes the door. It blocks until a member answers.
func (b *bench) open(writes bool) (benchDoor, error) {
	c := b.c
	b.Door = c.String("door")
	if c.String(grpcDoor.flag) != "" && !c.IsSet("door") {
		b.Door = "grpc"
	}
	switch b.Door {
	case "kafka":
		return b.kafka(writes)
	case "grpc":
		return b.grpc(writes)
	}
	return nil, usage("--door %q is unknown", b.Door).hint("kafka or grpc")
}

func (b *bench) grpc(writes bool) (benchDoor, error) {
	where, err := b.s.address(b.c.String(grpcDoor.flag), grpcDoor)
	if err != nil {
		return nil, err
	}
	g := load.GRPC{Address: where}
	if writes {
		if g.Options, err = produceOptions(b.c); err != nil {
			return nil, err
		}
		b.Acks, b.Compression = b.c.String("acks"), b.c.String("compression")
	}
	ctx, cancel := context.WithTimeout(b.c.Context, b.c.Duration("timeout"))
	defer cancel()
	cl, err := b.s.connect(ctx, b.c) // a wrong address is told at once
	if err != nil {
		return nil, err
	}
	return g, cl.Close()
}

// end deletes the topic that was made, also after an interrupt.
func (b *bench) end() error {
	if !b.made {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.c.Context), b.c.Duration("timeout"))
	defer cancel()
	if err := b.door.Delete(ctx, b.topic); err != nil {
		return b.failed(fmt.Sprintf("topic %q was not deleted", b.topic), err)
	}
	return nil
}

// failed turns an error of either door into what a person is told.
func (b *bench) failed(what string, err error) error {
	if b.c.Context.Err() != nil {
		return b.c.Context.Err()
	}
	f := refused(what, err)
	if b.Door == "kafka" {
		f = kafkaRefused(what, err)
	}
	switch f.code {
	case exitNotFound:
		f.hint("millstream topic create %s, or leave it out", b.topic)
	case exitUnreachable:
		flag := kafkaDoor.flag
		if b.Door == "grpc" {
			flag = grpcDoor.flag
		}
		f.hint("start a member with `millstream dev`, or name another with --%s", flag)
	}
	return f
}
