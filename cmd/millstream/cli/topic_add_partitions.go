package cli

import (
	"context"
	"fmt"
	"strconv"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
)

func (s *shell) topicAddPartitionsCommand() *urfave.Command {
	return &urfave.Command{
		Name: "add-partitions", Usage: "grow a topic by N partitions; keys then map to other partitions",
		ArgsUsage: "NAME N",
		Flags:     []urfave.Flag{addrFlag(), timeoutFlag()},
		Action:    s.topicAddPartitions,
	}
}

func (s *shell) topicAddPartitions(c *urfave.Context) error {
	if c.NArg() != 2 {
		return usage("topic add-partitions takes a NAME and how many partitions to add").
			hint("millstream topic add-partitions NAME 2")
	}
	name := c.Args().Get(0)
	n, err := strconv.Atoi(c.Args().Get(1))
	if err != nil || n < 1 || n > 1<<20 {
		return usage("%q is not a number of partitions to add", c.Args().Get(1)).
			hint("millstream topic add-partitions %s 2", name)
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		t, err := topicOf(ctx, cl, name)
		if err != nil {
			return err
		}
		total := len(t.Partitions) + n
		if err := cl.AddPartitions(ctx, name, total); err != nil {
			return refused(fmt.Sprintf("topic %q was not grown", name), err)
		}
		fmt.Fprintf(s.Stdout, "topic %s now has %s\n", name, count(int64(total), "partition"))
		return nil
	})
}
