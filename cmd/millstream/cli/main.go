package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	urfave "github.com/urfave/cli/v2"
)

// Process is what a command line sees of the process that it runs in. Tests give their own.
type Process struct {
	Args    []string // Args[0] is the program's name
	Environ []string // KEY=value
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
}

// Main runs one command line and returns the exit code. It blocks until the command ends; an interrupt or a
// termination signal ends it in good order, a second one at once.
func Main(p Process) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the next signal has its usual effect
	return run(ctx, p)
}

// run is Main without the process's signals.
func run(ctx context.Context, p Process) int {
	s := &shell{Process: p}
	app := s.app()
	args, err := arrange(app, p.Args[1:])
	if err == nil {
		err = app.RunContext(ctx, append([]string{app.Name}, args...))
	}
	return s.report(ctx, err)
}

// shell is a process with the flags that every command has.
type shell struct {
	Process
	quiet   bool   // nothing for the eye but errors
	context string // --context
}

// env returns a variable of the environment, "" if it is not set.
func (s *shell) env(name string) string {
	for i := len(s.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(s.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// notef writes a line for the eye, unless --quiet is given.
func (s *shell) notef(format string, args ...any) {
	if !s.quiet {
		s.sayf(format, args...)
	}
}

// sayf writes a line to standard error.
func (s *shell) sayf(format string, args ...any) { fmt.Fprintf(s.Stderr, format+"\n", args...) }

// app builds the tree of commands.
func (s *shell) app() *urfave.App {
	app := &urfave.App{
		Name:  "millstream",
		Usage: "an event streaming engine: a log, the jobs that process it, and the tools for both",
		Description: "`millstream dev --demo` shows it at work. Commands that talk to a member use\n" +
			"--addr, or else --context, MILLSTREAM_ADDR, MILLSTREAM_CONTEXT, the current context, or " + defaultGRPC + ":\n" +
			"the address of a gRPC door.",
		Writer:                    s.Stdout,
		ErrWriter:                 s.Stderr,
		Reader:                    s.Stdin,
		HideVersion:               true,
		HideHelp:                  true,
		Flags:                     []urfave.Flag{helpFlag()},
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*urfave.Context, error) {}, // report does it
		Commands: []*urfave.Command{
			s.devCommand(), s.serverCommand(), s.topicCommand(), s.produceCommand(), s.consumeCommand(),
			s.groupCommand(), s.appCommand(), s.benchCommand(), s.contextCommand(), s.doctorCommand(), s.debugCommand(),
			s.completionCommand(), s.versionCommand(), s.completeCommand(),
		},
	}
	app.Action = func(c *urfave.Context) error { return urfave.ShowAppHelp(c) }
	app.OnUsageError = badValue
	s.tidy(app.Commands)
	app.Setup()
	return app
}

// loud are the commands whose words are their work.
var loud = []string{"dev", "server", "completion", "version"}

// tidy gives every command the same manners: --help, no command called help (a topic may be), wrong values told as
// usage, --quiet where there is anything to be quiet about, and --context where it talks to a member.
func (s *shell) tidy(commands []*urfave.Command) {
	for _, c := range commands {
		c.HideHelp, c.OnUsageError = true, badValue
		c.Flags = append(c.Flags, helpFlag())
		if slices.Contains(loud, c.Name) {
			continue
		}
		if c.Action != nil && !c.SkipFlagParsing {
			known := flagTable(c.Flags)
			if known[grpcDoor.flag] && !known["context"] {
				c.Flags = append(c.Flags, contextFlag())
			}
			c.Flags = append(c.Flags, quietFlag())
			c.Before = func(c *urfave.Context) error {
				s.quiet, s.context = c.Bool("quiet"), c.String("context")
				return nil
			}
		}
		s.tidy(c.Subcommands)
	}
}

// helpFlag is the parser's own help flag once more: that one is a variable which every parse writes to, and
// several command lines may run in one process.
func helpFlag() urfave.Flag {
	return &urfave.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show help", DisableDefaultText: true}
}

func badValue(c *urfave.Context, err error, _ bool) error {
	return usage("%s", oneLine(err.Error())).hint("%s --help", c.Command.HelpName)
}
