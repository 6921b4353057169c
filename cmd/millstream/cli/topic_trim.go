package cli

import (
	"context"
	"fmt"
	"strconv"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

func (s *shell) topicTrimCommand() *urfave.Command {
	return &urfave.Command{
		Name: "trim", Usage: "delete the oldest records of a partition", ArgsUsage: "NAME",
		Flags: []urfave.Flag{
			&urfave.IntFlag{Name: "partition", Value: -1, Usage: "partition `P`; needed"},
			&urfave.StringFlag{Name: "to", Usage: "first `OFFSET` that is kept, or end: as it is now; needed"},
			&urfave.BoolFlag{Name: "yes", Usage: "do not ask; needed without a terminal"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would go"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.topicTrim,
	}
}

// trimming is what goes: the records of one partition in [start, to).
type trimming struct {
	topic     string
	partition record.Partition
	start, to record.Offset
}

func (s *shell) topicTrim(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	partition := c.Int("partition")
	if partition < 0 || partition > 1<<20 {
		return usage("topic trim takes the --partition that is meant").
			hint("millstream topic trim %s --partition 0 --to end", name)
	}
	to, err := trimTarget(c.String("to"))
	if err != nil {
		return err
	}
	ask := !c.Bool("yes") && !c.Bool("dry-run")
	if ask && !isTerminal(s.Stdin) {
		return usage("there is no terminal to ask on").because("deleting records cannot be undone").
			hint("--yes to do it, --dry-run to see what would go")
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		t, err := trimOf(ctx, cl, name, record.Partition(partition), to)
		if err != nil {
			return err
		}
		if t.to <= t.start {
			fmt.Fprintf(s.Stdout, "nothing to delete: %s begins at offset %d\n", t.where(), t.start)
			return nil
		}
		if c.Bool("dry-run") {
			fmt.Fprintf(s.Stdout, "would delete %s of %s\n", t.what(), t.where())
			return nil
		}
		if ask && !s.confirm(fmt.Sprintf("delete %s of %s?", t.what(), t.where())) {
			return fail(exitFailure, t.where()+" was kept as it is")
		}
		return s.trim(ctx, cl, t)
	})
}

// toEnd is the target that stands for the end of the partition.
const toEnd record.Offset = -1

func trimTarget(text string) (record.Offset, error) {
	if text == "end" {
		return toEnd, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, usage("--to %q is no offset", text).hint("the first offset to keep, or end")
	}
	return record.Offset(n), nil
}

// trimOf looks at what is there, so that it can be said before it goes.
func trimOf(ctx context.Context, cl *client.Client, name string, partition record.Partition, to record.Offset) (
	trimming, error,
) {
	topic, err := topicOf(ctx, cl, name)
	if err != nil {
		return trimming{}, err
	}
	if int(partition) >= len(topic.Partitions) {
		return trimming{}, fail(exitNotFound, fmt.Sprintf("topic %q has no partition %d", name, partition)).
			because("it has %s, numbered from 0", count(int64(len(topic.Partitions)), "partition")).
			hint("`millstream topic describe %s`", name)
	}
	held, err := extents(ctx, cl, topic)
	if err != nil {
		return trimming{}, err
	}
	if held[name] == nil {
		return trimming{}, noSuchTopic(name) // deleted while we looked
	}
	end := held[name][partition].end
	t := trimming{topic: name, partition: partition, start: held[name][partition].start, to: to}
	if to == toEnd {
		t.to = end
	}
	if t.to > end {
		return t, fail(exitFailure, fmt.Sprintf("%s was not trimmed", t.where())).
			because("offset %d is behind its end, %d", to, end).hint("--to end deletes all that is there now")
	}
	return t, nil
}

func (s *shell) trim(ctx context.Context, cl *client.Client, t trimming) error {
	start, err := cl.DeleteRecords(ctx, t.topic, t.partition, t.to)
	if err != nil {
		return refused(t.where()+" was not trimmed", err)
	}
	fmt.Fprintf(s.Stdout, "deleted %s: %s begins at offset %d\n", t.what(), t.where(), start)
	return nil
}

func (t trimming) where() string {
	return fmt.Sprintf("partition %d of topic %s", t.partition, t.topic)
}

func (t trimming) what() string {
	n, last := t.to-t.start, t.to-1
	if n == 1 {
		return fmt.Sprintf("1 record (offset %d)", last)
	}
	return fmt.Sprintf("%d records (offsets %d to %d)", n, t.start, last)
}
