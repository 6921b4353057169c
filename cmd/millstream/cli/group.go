package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
)

func (s *shell) groupCommand() *urfave.Command {
	return &urfave.Command{
		Name: "group", Usage: "list, describe, measure, reset and delete consumer groups",
		Subcommands: []*urfave.Command{
			s.groupListCommand(), s.groupDescribeCommand(), s.groupLagCommand(), s.groupResetCommand(),
			s.groupDeleteCommand(),
		},
		Action: func(c *urfave.Context) error { return urfave.ShowSubcommandHelp(c) },
	}
}

// groupRow is one group of `group ls`.
type groupRow struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Type  string `json:"type"`
}

func (s *shell) groupListCommand() *urfave.Command {
	return &urfave.Command{
		Name: "ls", Usage: "list groups",
		Flags: []urfave.Flag{
			&urfave.StringSliceFlag{Name: "state", Usage: "only groups in `STATE`: stable, empty, …; may be repeated"},
			outputFlag(), addrFlag(), timeoutFlag(),
		},
		Action: s.groupList,
	}
}

func (s *shell) groupList(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := checkOutput(c.String("output")); err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		groups, err := cl.Groups(ctx)
		if err != nil {
			return refused("the groups could not be listed", err)
		}
		rows := []groupRow{} // an empty list is [] in JSON
		l := listing{columns: []string{"name", "state", "type"}}
		only := c.StringSlice("state")
		for _, g := range groups {
			wanted := slices.ContainsFunc(only, func(state string) bool { return strings.EqualFold(state, g.State) })
			if len(only) > 0 && !wanted {
				continue
			}
			rows = append(rows, groupRow{g.Name, g.State, g.ProtocolType})
			l.names = append(l.names, g.Name)
			l.rows = append(l.rows, []string{g.Name, g.State, orDash(g.ProtocolType)})
		}
		l.value = rows
		return s.show(c.String("output"), l)
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// groupOf returns one group, or the failure that there is none.
func groupOf(ctx context.Context, cl *client.Client, name string) (client.GroupDescription, error) {
	g, err := cl.DescribeGroup(ctx, name)
	switch {
	case errors.Is(err, fault.GroupIDNotFound):
		return g, noSuchGroup(name)
	case err != nil:
		return g, refused(fmt.Sprintf("group %q could not be looked up", name), err)
	}
	return g, nil
}

func noSuchGroup(name string) *failure {
	return fail(exitNotFound, fmt.Sprintf("there is no group %q", name)).hint("`millstream group ls`")
}
