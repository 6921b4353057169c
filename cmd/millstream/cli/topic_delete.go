package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
)

func (s *shell) topicDeleteCommand() *urfave.Command {
	return &urfave.Command{
		Name: "delete", Usage: "remove topics and everything in them", ArgsUsage: "NAME...",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "yes", Usage: "do not ask; needed without a terminal"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would go"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.topicDelete,
	}
}

func (s *shell) topicDelete(c *urfave.Context) error {
	names := c.Args().Slice()
	if len(names) == 0 {
		return usage("topic delete takes at least one NAME").hint("millstream topic delete --help")
	}
	ask := !c.Bool("yes") && !c.Bool("dry-run")
	if ask && !isTerminal(s.Stdin) {
		return usage("there is no terminal to ask on").because("deleting a topic cannot be undone").
			hint("--yes to do it, --dry-run to see what would go")
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		topics, err := topicsOf(ctx, cl, names) // nothing is deleted unless every name is known
		if err != nil {
			return err
		}
		for _, t := range topics {
			if err := s.deleteOne(ctx, cl, t, c.Bool("dry-run"), ask); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *shell) deleteOne(ctx context.Context, cl *client.Client, t client.TopicMetadata, dry, ask bool) error {
	held, err := extents(ctx, cl, t)
	if err != nil {
		return err
	}
	name, n := t.Name, records(held[t.Name])
	if dry {
		fmt.Fprintf(s.Stdout, "would delete topic %s with %s\n", name, count(n, "record"))
		return nil
	}
	if ask && !s.confirm(fmt.Sprintf("delete topic %s with %s?", name, count(n, "record"))) {
		return fail(exitFailure, fmt.Sprintf("topic %q was kept", name))
	}
	if err := cl.DeleteTopic(ctx, name); err != nil {
		return refused(fmt.Sprintf("topic %q was not deleted", name), err)
	}
	fmt.Fprintf(s.Stdout, "deleted topic %s\n", name)
	return nil
}

// confirm asks on the terminal; only yes is yes.
func (s *shell) confirm(question string) bool {
	fmt.Fprintf(s.Stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(s.Stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}
