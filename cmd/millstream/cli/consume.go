package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func (s *shell) consumeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "consume", Usage: "print records, and wait for more", ArgsUsage: "TOPIC...",
		Description: "With --group it shares the topics with other members of the group: with those over gRPC and with those of\n" +
			"programs that embed a member. A group of Kafka's clients is of another type and does not take it in.",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "offset", Aliases: []string{"o"}, Value: "start",
				Usage: "`WHERE` to begin: start, end, 42, -10 (the last ten), @-1h, @TIMESTAMP, 5:10 (up to 10)"},
			&urfave.StringFlag{Name: "group", Aliases: []string{"g"},
				Usage: "read as a member of `GROUP`: share the partitions, go on where it has committed, commit"},
			&urfave.Int64Flag{Name: "number", Aliases: []string{"n"}, Usage: "stop after `N` records"},
			&urfave.StringFlag{Name: "format", Aliases: []string{"f"}, Value: `%v\n`,
				Usage: "`FORMAT` of a record: %t topic, %p partition, %o offset, %k key, %v value, %T ms, %h headers"},
			&urfave.BoolFlag{Name: "exit-at-end", Usage: "stop at the end instead of waiting"},
			&urfave.StringFlag{Name: "output", Usage: "`FORM`: json prints one object a line"},
			&urfave.IntSliceFlag{Name: "partition", Usage: "only partition `P`; may be repeated"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.consume,
	}
}

// reading is one run of consume.
type reading struct {
	spans map[client.TopicPartition]span // partitions that still have something to give
	left  int64                          // records to print, negative for no limit
	write func(dst []byte, r *client.Record) []byte
	meter *meter
}

// measure shows how far the reading is, where its end is known and what it prints goes elsewhere.
func (s *shell) measure(r *reading) {
	if isTerminal(s.Stdout) {
		return
	}
	total := int64(0)
	for _, sp := range r.spans {
		if sp.until < 0 {
			total = math.MaxInt64
		} else if total < math.MaxInt64 {
			total += int64(max(0, sp.until-sp.from))
		}
	}
	if r.left >= 0 && (r.spans == nil || r.left < total) {
		total = r.left
	}
	if total < math.MaxInt64 {
		r.meter = s.meter("reading", total, false)
	}
}

func (s *shell) consume(c *urfave.Context) error {
	if c.NArg() == 0 {
		return usage("consume takes at least one TOPIC").hint("millstream consume text-output -o start")
	}
	where, err := parsePosition(c.String("offset"), time.Now())
	if err != nil {
		return err
	}
	r := &reading{left: -1}
	if r.write, err = recordWriter(c); err != nil {
		return err
	}
	if c.IsSet("number") {
		if r.left = c.Int64("number"); r.left < 0 {
			return usage("-n %d is negative", r.left).hint("-n 10")
		}
	}
	if c.String("group") != "" {
		return s.consumeGroup(c, where, r)
	}
	cl, err := s.connect(c.Context, c)
	if err != nil {
		return err
	}
	defer cl.Close()
	k := cl.Consumer(client.OnOutOfRange(client.FromEarliest())) // what was trimmed meanwhile is passed over
	defer k.Close()
	if err := r.place(c, cl, k, where); err != nil {
		return err
	}
	s.measure(r)
	defer func() { r.meter.end() }()
	return s.readAll(c.Context, k, r)
}

// place finds out where every partition begins and ends, and assigns those that have something to give.
func (r *reading) place(c *urfave.Context, cl *client.Client, k *client.Consumer, where position) error {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	topics, err := topicsOf(ctx, cl, c.Args().Slice())
	if err != nil {
		return err
	}
	only := c.IntSlice("partition")
	for _, t := range topics {
		for _, p := range only {
			if p < 0 || p >= len(t.Partitions) {
				return noSuchPartition(t.Name, record.Partition(p))
			}
		}
	}
	if r.spans, err = where.spans(ctx, cl, c.Bool("exit-at-end"), topics); err != nil {
		return err
	}
	begin := map[string]map[record.Offset][]record.Partition{}
	for p, sp := range r.spans {
		if sp.until >= 0 && sp.from >= sp.until || len(only) > 0 && !slices.Contains(only, int(p.Partition)) {
			delete(r.spans, p)
			continue
		}
		if begin[p.Topic] == nil {
			begin[p.Topic] = map[record.Offset][]record.Partition{}
		}
		begin[p.Topic][sp.from] = append(begin[p.Topic][sp.from], p.Partition)
	}
	for topic, at := range begin {
		for from, partitions := range at {
			if err := k.Assign(ctx, topic, client.FromOffset(from), partitions...); err != nil {
				return refused(fmt.Sprintf("topic %q cannot be read", topic), err)
			}
		}
	}
	return nil
}

func recordWriter(c *urfave.Context) (func([]byte, *client.Record) []byte, error) {
	switch form := c.String("output"); form {
	case "json":
		if c.IsSet("format") {
			return nil, usage("--output json and --format exclude each other").hint("one of them")
		}
		return appendJSON, nil
	case "":
		f, err := parseFormat(c.String("format"))
		if err != nil {
			return nil, err
		}
		return f.append, nil
	default:
		return nil, usage("unknown form %q for --output", form).hint("json, or --format for anything else")
	}
}

// readAll prints records until there is nothing left to print, or the context ends.
func (s *shell) readAll(ctx context.Context, k *client.Consumer, r *reading) error {
	for len(r.spans) > 0 && r.left != 0 {
		records, err := k.Poll(ctx)
		if err != nil {
			return readFailure(ctx, err)
		}
		if _, err := s.print(r, r.within(records)); err != nil {
			return err
		}
		for _, p := range k.Positions() {
			at := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
			if sp := r.spans[at]; sp.until >= 0 && p.Offset >= sp.until {
				k.Unassign(p.Topic, p.Partition)
				delete(r.spans, at)
			}
		}
	}
	return nil
}

// within leaves out what lies behind the end of its span.
func (r *reading) within(records []client.Record) []client.Record {
	behind := func(rec client.Record) bool {
		sp := r.spans[client.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}]
		return sp.until >= 0 && rec.Offset >= sp.until
	}
	if !slices.ContainsFunc(records, behind) {
		return records
	}
	return slices.DeleteFunc(slices.Clone(records), behind) // the slice is the client's
}

// print writes records, as many as are wanted, and returns those.
func (s *shell) print(r *reading, records []client.Record) ([]client.Record, error) {
	if r.left >= 0 {
		records = records[:min(int64(len(records)), r.left)]
		r.left -= int64(len(records))
	}
	var out []byte
	for i := range records {
		if out = r.write(out, &records[i]); len(out) >= printBytes {
			if _, err := s.Stdout.Write(out); err != nil {
				return nil, fmt.Errorf("write: %w", err)
			}
			out = out[:0]
		}
	}
	if _, err := s.Stdout.Write(out); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	r.meter.add(int64(len(records)))
	return records, nil
}

// printBytes is about how much is written at once.
const printBytes = 256 << 10

// readFailure tells what a reader cannot get over; the client retries the rest by itself.
func readFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var at *client.PartitionError
	if !errors.As(err, &at) {
		return refused("the records cannot be read", err)
	}
	switch fault.CodeOf(err) {
	case fault.UnknownTopicOrPartition, fault.UnknownTopicID, fault.InconsistentTopicID:
		return noSuchTopic(at.Topic).because("it was deleted while we read")
	}
	return refused(fmt.Sprintf("partition %d of topic %q cannot be read", at.Partition, at.Topic), err)
}
