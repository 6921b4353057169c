package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"
)

func (s *shell) consumeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "consume", Usage: "print records, and wait for more", ArgsUsage: "TOPIC...",
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
			brokersFlag(), timeoutFlag(),
		},
		Action: s.consume,
	}
}

// reading is one run of consume.
type reading struct {
	spans map[string]map[int32]span
	open  int   // partitions that still have something to give
	left  int64 // records to print, negative for no limit
	quiet *quiet
	write func(dst []byte, r *kgo.Record) []byte
	meter *meter
}

// measure shows how far the reading is, where its end is known and what it prints goes elsewhere.
func (s *shell) measure(r *reading) {
	if isTerminal(s.Stdout) {
		return
	}
	total := int64(0)
	for _, partitions := range r.spans {
		for _, sp := range partitions {
			if sp.until < 0 {
				total = math.MaxInt64
			} else if total < math.MaxInt64 {
				total += max(0, sp.until-sp.from)
			}
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
	r.quiet = newQuiet()
	cl, err := s.dial(c.Context, c.String("brokers"),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(fetchWait), kgo.WithHooks(r.quiet))
	if err != nil {
		return err
	}
	defer cl.Close()
	topics := c.Args().Slice()
	if err := r.place(c, kadm.NewClient(cl), where, topics); err != nil {
		return err
	}
	offsets := make(map[string]map[int32]kgo.Offset)
	for topic, partitions := range r.spans {
		for n, sp := range partitions {
			if sp.until >= 0 && sp.from >= sp.until {
				continue
			}
			if offsets[topic] == nil {
				offsets[topic] = make(map[int32]kgo.Offset)
			}
			offsets[topic][n] = kgo.NewOffset().At(sp.from)
			r.open++
		}
	}
	cl.AddConsumePartitions(offsets)
	s.measure(r)
	defer func() { r.meter.end() }()
	return s.readAll(c.Context, cl, r)
}

// place finds out where every partition begins and ends.
func (r *reading) place(c *urfave.Context, ad *kadm.Client, where position, topics []string) error {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	for _, t := range topics {
		if _, err := topicOf(ctx, ad, t); err != nil {
			return err
		}
	}
	var err error
	if r.spans, err = where.spans(ctx, ad, c.Bool("exit-at-end"), topics); err != nil {
		return err
	}
	only := c.IntSlice("partition")
	for _, partitions := range r.spans {
		for n := range partitions {
			if len(only) > 0 && !slices.Contains(only, int(n)) {
				delete(partitions, n)
			}
		}
	}
	for _, p := range only {
		for topic, partitions := range r.spans {
			if _, ok := partitions[int32(p)]; !ok {
				return fail(exitNotFound, fmt.Sprintf("topic %q has no partition %d", topic, p)).
					hint("millstream topic describe %s", topic)
			}
		}
	}
	return nil
}

func recordWriter(c *urfave.Context) (func([]byte, *kgo.Record) []byte, error) {
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
func (s *shell) readAll(ctx context.Context, cl *kgo.Client, r *reading) error {
	var out []byte
	for r.open > 0 && r.left != 0 {
		short, cancel := context.WithTimeout(ctx, fetchWait)
		fetches := cl.PollFetches(short)
		idle := short.Err() != nil && fetches.NumRecords() == 0
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		if idle {
			r.endQuiet(cl.PartitionLeader)
			continue
		}
		if err := fetchFailure(fetches); err != nil {
			return err
		}
		out = out[:0]
		fetches.EachRecord(func(rec *kgo.Record) { out = r.take(out, rec) })
		if _, err := s.Stdout.Write(out); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		r.meter.add(int64(fetches.NumRecords()))
	}
	return nil
}

// endQuiet closes partitions of which all that is wanted has been written, where their leader has nothing more:
// the last offsets were taken by compaction.
func (r *reading) endQuiet(leaderOf func(topic string, partition int32) (leader, epoch int32, err error)) {
	for topic, partitions := range r.spans {
		for n, sp := range partitions {
			if sp.until <= 0 || !sp.there || sp.from >= sp.until {
				continue
			}
			if leader, _, err := leaderOf(topic, n); err == nil && r.quiet.rounds(leader) >= quietRounds {
				partitions[n] = span{from: sp.from}
				r.open--
			}
		}
	}
}

// fetchFailure tells what a reader cannot get over; the client library retries the rest by itself.
func fetchFailure(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, kerr.UnknownTopicOrPartition) || errors.Is(e.Err, kerr.UnknownTopicID) {
			return noSuchTopic(e.Topic).because("it was deleted while we read")
		}
		return refused(fmt.Sprintf("partition %d of topic %q cannot be read", e.Partition, e.Topic), e.Err, "")
	}
	return nil
}

// take prints one record if it belongs to what was asked for, and notes when its partition is done.
func (r *reading) take(out []byte, rec *kgo.Record) []byte {
	sp := r.spans[rec.Topic][rec.Partition]
	if sp.until == 0 || sp.until > 0 && rec.Offset >= sp.until {
		return r.finish(rec, out)
	}
	if r.left != 0 && !rec.Attrs.IsControl() {
		out = r.write(out, rec)
		if r.left > 0 {
			r.left--
		}
	}
	if sp.until > 0 && rec.Offset == sp.until-1 {
		return r.finish(rec, out)
	}
	return out
}

// finish closes a partition; until 0 marks that.
func (r *reading) finish(rec *kgo.Record, out []byte) []byte {
	if sp := r.spans[rec.Topic][rec.Partition]; sp.until != 0 {
		r.spans[rec.Topic][rec.Partition] = span{from: sp.from}
		r.open--
	}
	return out
}
