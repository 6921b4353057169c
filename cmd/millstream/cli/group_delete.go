package cli

import (
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
)

func (s *shell) groupDeleteCommand() *urfave.Command {
	return &urfave.Command{
		Name: "delete", Usage: "remove groups and their committed offsets", ArgsUsage: "NAME...",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "yes", Usage: "do not ask; needed without a terminal"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would go"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.groupDelete,
	}
}

func (s *shell) groupDelete(c *urfave.Context) error {
	names := c.Args().Slice()
	if len(names) == 0 {
		return usage("group delete takes at least one NAME").hint("millstream group delete --help")
	}
	dry := c.Bool("dry-run")
	ask := !c.Bool("yes") && !dry
	if ask && !isTerminal(s.Stdin) {
		return usage("there is no terminal to ask on").because("deleting a group cannot be undone").
			hint("--yes to do it, --dry-run to see what would go")
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		offsets := make([]int, len(names))
		for i, name := range names { // nothing is deleted unless every group is known and empty
			if _, err := idleGroup(ctx, cl, name, "deleted"); err != nil {
				return err
			}
			committed, err := committedOf(ctx, cl, name)
			if err != nil {
				return err
			}
			offsets[i] = len(committed)
		}
		for i, name := range names {
			if err := s.deleteGroup(ctx, cl, name, offsets[i], dry, ask); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *shell) deleteGroup(ctx context.Context, cl *client.Client, name string, offsets int, dry, ask bool) error {
	what := fmt.Sprintf("group %s with %s", name, count(int64(offsets), "committed offset"))
	if dry {
		fmt.Fprintf(s.Stdout, "would delete %s\n", what)
		return nil
	}
	if ask && !s.confirm("delete "+what+"?") {
		return fail(exitFailure, fmt.Sprintf("group %q was kept", name))
	}
	if err := cl.DeleteGroup(ctx, name); err != nil {
		return groupRefused(fmt.Sprintf("group %q was not deleted", name), err)
	}
	fmt.Fprintf(s.Stdout, "deleted group %s\n", name)
	return nil
}

// idleGroup returns a group that nobody is in, or the failure that says who is.
func idleGroup(ctx context.Context, cl *client.Client, name, done string) (client.GroupDescription, error) {
	g, err := groupOf(ctx, cl, name)
	if err == nil && len(g.Members) > 0 {
		m := g.Members[0]
		err = fail(exitConflict, fmt.Sprintf("group %q was not %s", name, done)).
			because("it is %s with %s, as client %q on %s", g.State, count(int64(len(g.Members)), "member"),
				m.ClientID, m.ClientHost).
			hint("stop its members first; `millstream group describe %s`", name)
	}
	return g, err
}

// committedOf reads all that a group has committed, by partition.
func committedOf(ctx context.Context, cl *client.Client, name string) (map[client.TopicPartition]client.GroupOffset, error) {
	all, err := cl.GroupOffsets(ctx, name)
	if err != nil {
		return nil, refused(fmt.Sprintf("the offsets of group %q could not be read", name), err)
	}
	out := make(map[client.TopicPartition]client.GroupOffset, len(all))
	for _, o := range all {
		out[o.TopicPartition] = o
	}
	return out, nil
}

// groupRefused is refused with what is special about groups.
func groupRefused(what string, err error) *failure {
	f := refused(what, err)
	switch fault.CodeOf(err) {
	case fault.NonEmptyGroup, fault.UnknownMember, fault.RebalanceInProgress:
		f.hint("stop its members first")
	case fault.IllegalGeneration:
		f.because("its offsets belong to the tasks of an application, which go on where they are")
	}
	return f
}
