package cli

import (
	urfave "github.com/urfave/cli/v2"
)

func (s *shell) debugCommand() *urfave.Command {
	return &urfave.Command{
		Name: "debug", Usage: "look inside",
		Action:      func(c *urfave.Context) error { return urfave.ShowSubcommandHelp(c) },
		Subcommands: []*urfave.Command{s.debugDumpLogCommand()},
	}
}
