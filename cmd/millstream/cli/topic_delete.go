package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	urfave "github.com/urfave/cli/v2"
)

func (s *shell) topicDeleteCommand() *urfave.Command {
	return &urfave.Command{
		Name: "delete", Usage: "remove topics and everything in them", ArgsUsage: "NAME...",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "yes", Usage: "do not ask; needed without a terminal"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would go"},
			brokersFlag(), timeoutFlag(),
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
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		for _, name := range names {
			if _, err := topicOf(ctx, ad, name); err != nil {
				return err // nothing is deleted unless every name is known
			}
		}
		for _, name := range names {
			if err := s.deleteOne(ctx, ad, name, c.Bool("dry-run"), ask); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *shell) deleteOne(ctx context.Context, ad *kadm.Client, name string, dry, ask bool) error {
	starts, ends, err := bounds(ctx, ad, name)
	if err != nil {
		return err
	}
	var n int64
	for p, e := range ends[name] {
		n += e.Offset - starts[name][p].Offset
	}
	if dry {
		fmt.Fprintf(s.Stdout, "would delete topic %s with %s\n", name, count(n, "record"))
		return nil
	}
	if ask && !s.confirm(fmt.Sprintf("delete topic %s with %s?", name, count(n, "record"))) {
		return fail(exitFailure, fmt.Sprintf("topic %q was kept", name))
	}
	if r, err := ad.DeleteTopic(ctx, name); err != nil {
		return refused(fmt.Sprintf("topic %q was not deleted", name), err, r.ErrMessage)
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
