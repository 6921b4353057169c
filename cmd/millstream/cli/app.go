package cli

import (
	"context"
	"fmt"
	"strconv"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/cluster/client"
)

func (s *shell) appCommand() *urfave.Command {
	return &urfave.Command{
		Name: "app", Usage: "look into the applications that a member runs, pause and reset them, query their stores",
		Description: "An application is a topology that a program runs. Its member is asked at its gRPC door.",
		Subcommands: []*urfave.Command{
			s.appListCommand(), s.appDescribeCommand(), s.appTopologyCommand(), s.appTasksCommand(),
			s.appPauseCommand("pause", "have the tasks take no more records; their stores can be read",
				(*client.Client).PauseApp),
			s.appPauseCommand("resume", "end a pause", (*client.Client).ResumeApp),
			s.appResetCommand(), s.appQueryCommand(),
		},
		Action: func(c *urfave.Context) error { return urfave.ShowSubcommandHelp(c) },
	}
}

func (s *shell) appListCommand() *urfave.Command {
	return &urfave.Command{
		Name: "ls", Usage: "list applications", Flags: []urfave.Flag{outputFlag(), addrFlag(), timeoutFlag()},
		Action: s.appList,
	}
}

func (s *shell) appList(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := checkOutput(c.String("output")); err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		apps, err := cl.Apps(ctx)
		if err != nil {
			return refused("the applications could not be listed", err)
		}
		l := listing{columns: []string{"name", "state", "tasks", "running", "failed"}, value: apps}
		if len(apps) == 0 {
			l.value = []app.Listing{} // an empty list is [] in JSON
		}
		for _, a := range apps {
			l.names = append(l.names, a.Name)
			l.rows = append(l.rows, []string{
				a.Name, a.State, strconv.Itoa(a.Tasks), strconv.Itoa(a.Running), strconv.Itoa(a.Failed),
			})
		}
		return s.show(c.String("output"), l)
	})
}

func (s *shell) appPauseCommand(name, usage string, do func(*client.Client, context.Context, string) error) *urfave.Command {
	return &urfave.Command{
		Name: name, Usage: usage, ArgsUsage: "NAME",
		Description: "A pause ends with the run of the application at the latest: it is not kept over a restart.",
		Flags:       []urfave.Flag{addrFlag(), timeoutFlag()},
		Action: func(c *urfave.Context) error {
			of, err := oneArgument(c, "NAME")
			if err != nil {
				return err
			}
			return s.member(c, func(ctx context.Context, cl *client.Client) error {
				if err := do(cl, ctx, of); err != nil {
					return refused(fmt.Sprintf("application %q could not be told to %s", of, name), err)
				}
				fmt.Fprintf(s.Stdout, "%sd application %s\n", name, of)
				return nil
			})
		},
	}
}
