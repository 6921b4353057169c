package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Times of a member of a group. A member that is killed is missed after the session.
const (
	groupSession = 10 * time.Second
	groupCommit  = 5 * time.Second        // bounds one commit
	groupWait    = 500 * time.Millisecond // without records, until the reader asks whether there are any left
)

// consumeGroup prints records as a member of a group, and commits what it has printed.
func (s *shell) consumeGroup(c *urfave.Context, where position, r *reading) error {
	name, start := c.String("group"), client.FromEarliest()
	switch {
	case c.IsSet("partition"):
		return usage("--partition and --group exclude each other").
			because("a group shares the partitions out by itself").hint("leave --partition out")
	case where.kind == fromEnd:
		start = client.FromLatest()
	case where.kind != fromStart:
		return usage("-o %s and --group exclude each other", c.String("offset")).
			because("a group goes on where it has committed; start and end say where a new one begins").
			hint("`millstream group reset %s`", name)
	}
	cl, err := s.connect(c.Context, c)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	topics, err := topicsOf(ctx, cl, c.Args().Slice())
	if err != nil {
		return err
	}
	g, err := cl.Group(ctx, name, c.Args().Slice(), client.WithStart(start), client.WithManualCommit(),
		client.WithSessionTimeout(groupSession))
	if err != nil {
		return groupRefused(fmt.Sprintf("group %q cannot be joined", name), err)
	}
	defer g.Close()
	s.measure(r)
	defer func() { r.meter.end() }()
	return s.readGroup(c, cl, g, topics, r)
}

func (s *shell) readGroup(c *urfave.Context, cl *client.Client, g *client.Group, topics []client.TopicMetadata, r *reading) error {
	ctx := c.Context
	for r.left != 0 {
		short, cancel := context.WithTimeout(ctx, groupWait)
		records, err := g.Poll(short)
		waited := short.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && waited && errors.Is(err, context.DeadlineExceeded):
			if c.Bool("exit-at-end") && caughtUp(ctx, cl, g, topics) {
				return nil
			}
			continue
		case err != nil:
			return groupFailure(ctx, g.Name(), err)
		}
		printed, err := s.print(r, records)
		if err != nil {
			return err
		}
		if err := commitPrinted(ctx, g, printed); err != nil {
			return groupRefused(fmt.Sprintf("what was printed was not committed to group %q", g.Name()), err)
		}
	}
	return nil
}

// groupFailure tells what ends a membership, or what a reader cannot get over.
func groupFailure(ctx context.Context, name string, err error) error {
	if errors.As(err, new(*client.PartitionError)) {
		return readFailure(ctx, err)
	}
	f := groupRefused(fmt.Sprintf("group %q does not take this reader", name), err)
	if fault.CodeOf(err) == fault.InconsistentGroupProtocol {
		f.hint("another name, or stop the group's members: Kafka's clients and this command share no group")
	}
	return f
}

// commitPrinted commits behind what was printed, also when the command is being interrupted.
func commitPrinted(ctx context.Context, g *client.Group, records []client.Record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupCommit)
	defer cancel()
	return g.CommitRecords(ctx, records...)
}

// caughtUp reports whether the group has nothing left to read in the topics; no answer is no. Where this member reads, its
// own position counts: it may have passed over what log compaction has left nothing of.
func caughtUp(ctx context.Context, cl *client.Client, g *client.Group, topics []client.TopicMetadata) bool {
	ctx, cancel := context.WithTimeout(ctx, groupCommit)
	defer cancel()
	d, err := cl.DescribeGroup(ctx, g.Name())
	if err != nil || d.State != "Stable" {
		return false
	}
	held, err := extents(ctx, cl, topics...)
	if err != nil {
		return false
	}
	committed, err := committedOf(ctx, cl, g.Name())
	if err != nil {
		return false
	}
	read := map[client.TopicPartition]record.Offset{}
	for _, p := range g.Positions() {
		read[client.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p.Offset
	}
	for topic, partitions := range held {
		for n, e := range partitions {
			p := client.TopicPartition{Topic: topic, Partition: record.Partition(n)}
			at, mine := read[p]
			if o, ok := committed[p]; !mine && ok {
				at = max(o.Offset, 0)
			}
			if max(at, e.start) < e.end {
				return false
			}
		}
	}
	return true
}
