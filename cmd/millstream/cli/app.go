package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
	"github.com/millstream-io/millstream/proto/fault"
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

func grpcFlag() urfave.Flag {
	return &urfave.StringFlag{
		Name: grpcDoor.flag, Usage: "`ADDRESS` of a member's gRPC door (" + grpcDoor.variable + ", or else the current context, or " +
			defaultGRPC + ")",
	}
}

// member connects to the gRPC door for one command, whose answer has to come within --timeout.
func (s *shell) member(c *urfave.Context, do func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	cl, err := s.dialMember(ctx, c.String("grpc"))
	if err != nil {
		return err
	}
	defer cl.Close()
	return do(ctx, cl)
}

func (s *shell) dialMember(ctx context.Context, option string) (*client.Client, error) {
	addr, err := s.address(option, grpcDoor)
	if err != nil {
		return nil, err
	}
	ping, cancel := context.WithTimeout(ctx, dialTimeout+dialTimeout/2)
	defer cancel()
	cl, err := remote.Dial(ping, addr, remote.WithClientID("millstream"))
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fail(exitUnreachable, "no member answers at "+addr).because("%s", oneLine(err.Error())).
			hint("start one with `millstream dev`, or name another gRPC door with --grpc")
	}
	return cl, nil
}

// declined turns a refusal of a member into a failure with an exit code that fits.
func declined(what string, err error) *failure {
	f := fail(exitFailure, what)
	switch code := fault.CodeOf(err); {
	case errors.Is(err, fault.UnknownApp), errors.Is(err, fault.UnknownStore):
		f.code = exitNotFound
	case errors.Is(err, fault.NonEmptyGroup):
		f.code = exitConflict
	case errors.Is(err, context.DeadlineExceeded):
		f.code = exitUnreachable
		return f.because("no answer within the time limit").hint("a longer --timeout, or look at the member's log")
	case code.Retryable():
		f.code = exitUnreachable
	}
	var refusal *fault.Error
	if !errors.As(err, &refusal) {
		return f.because("%s", err.Error())
	}
	f.because("%s", refusal.Message)
	if errors.Is(err, fault.UnknownApp) {
		return f.hint("`millstream app ls`")
	}
	return f.hint("%s", refusal.Hint)
}

func (s *shell) appListCommand() *urfave.Command {
	return &urfave.Command{
		Name: "ls", Usage: "list applications", Flags: []urfave.Flag{outputFlag(), grpcFlag(), timeoutFlag()},
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
			return declined("the applications could not be listed", err)
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
		Flags:       []urfave.Flag{grpcFlag(), timeoutFlag()},
		Action: func(c *urfave.Context) error {
			of, err := oneArgument(c, "NAME")
			if err != nil {
				return err
			}
			return s.member(c, func(ctx context.Context, cl *client.Client) error {
				if err := do(cl, ctx, of); err != nil {
					return declined(fmt.Sprintf("application %q could not be told to %s", of, name), err)
				}
				fmt.Fprintf(s.Stdout, "%sd application %s\n", name, of)
				return nil
			})
		},
	}
}
