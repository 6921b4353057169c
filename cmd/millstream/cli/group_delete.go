package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	urfave "github.com/urfave/cli/v2"
)

func (s *shell) groupDeleteCommand() *urfave.Command {
	return &urfave.Command{
		Name: "delete", Usage: "remove groups and their committed offsets", ArgsUsage: "NAME...",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "yes", Usage: "do not ask; needed without a terminal"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say what would go"},
			brokersFlag(), timeoutFlag(),
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
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		offsets := make([]int64, len(names))
		for i, name := range names { // nothing is deleted unless every group is known and empty
			if _, err := idleGroup(ctx, ad, name, "deleted"); err != nil {
				return err
			}
			committed, err := ad.FetchOffsets(ctx, name)
			if err != nil {
				return refused(fmt.Sprintf("the offsets of group %q could not be read", name), err, "")
			}
			committed.Each(func(kadm.OffsetResponse) { offsets[i]++ })
		}
		for i, name := range names {
			if err := s.deleteGroup(ctx, ad, name, offsets[i], dry, ask); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *shell) deleteGroup(ctx context.Context, ad *kadm.Client, name string, offsets int64, dry, ask bool) error {
	what := fmt.Sprintf("group %s with %s", name, count(offsets, "committed offset"))
	if dry {
		fmt.Fprintf(s.Stdout, "would delete %s\n", what)
		return nil
	}
	if ask && !s.confirm("delete "+what+"?") {
		return fail(exitFailure, fmt.Sprintf("group %q was kept", name))
	}
	if r, err := ad.DeleteGroup(ctx, name); err != nil {
		return groupRefused(fmt.Sprintf("group %q was not deleted", name), err, r.ErrMessage)
	}
	fmt.Fprintf(s.Stdout, "deleted group %s\n", name)
	return nil
}

// idleGroup returns a group that nobody is in, or the failure that says who is.
func idleGroup(ctx context.Context, ad *kadm.Client, name, done string) (kadm.DescribedGroup, error) {
	g, err := groupOf(ctx, ad, name)
	if err == nil && len(g.Members) > 0 {
		m := g.Members[0]
		err = fail(exitConflict, fmt.Sprintf("group %q was not %s", name, done)).
			because("it is %s with %s, as client %q on %s", g.State, count(int64(len(g.Members)), "member"),
				m.ClientID, m.ClientHost).
			hint("stop its members first; `millstream group describe %s`", name)
	}
	return g, err
}

// groupRefused is refused with the exit codes of groups.
func groupRefused(what string, err error, message string) *failure {
	f := refused(what, err, message)
	switch {
	case errors.Is(err, kerr.NonEmptyGroup), errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.RebalanceInProgress):
		f.code, f.try = exitConflict, "stop its members first"
	case errors.Is(err, kerr.IllegalGeneration):
		f.code = exitConflict
		f.because("its offsets belong to the tasks of an application, which go on where they are")
	case errors.Is(err, kerr.GroupIDNotFound):
		f.code = exitNotFound
	}
	return f
}
