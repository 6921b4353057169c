package cli

import (
	"fmt"

	urfave "github.com/urfave/cli/v2"
)

func (s *shell) topicCommand() *urfave.Command {
	return &urfave.Command{
		Name: "topic", Usage: "create, list, describe, alter, grow, trim and delete topics",
		Subcommands: []*urfave.Command{
			s.topicCreateCommand(), s.topicListCommand(), s.topicDescribeCommand(), s.topicDeleteCommand(),
			s.topicAddPartitionsCommand(), s.topicAlterCommand(), s.topicTrimCommand(),
		},
		Action: func(c *urfave.Context) error { return urfave.ShowSubcommandHelp(c) },
	}
}

// oneArgument returns the only positional word of a command line.
func oneArgument(c *urfave.Context, noun string) (string, error) {
	if c.NArg() != 1 {
		return "", usage("%s takes one %s, %d given", c.Command.HelpName, noun, c.NArg()).
			hint("%s --help", c.Command.HelpName)
	}
	return c.Args().First(), nil
}

// nameAndForm is what a command takes that shows one thing.
func nameAndForm(c *urfave.Context) (name, form string, err error) {
	if name, err = oneArgument(c, "NAME"); err != nil {
		return "", "", err
	}
	form = c.String("output")
	return name, form, checkOutput(form)
}

func noArguments(c *urfave.Context) error {
	if c.NArg() != 0 {
		return usage("%s takes no %q", c.Command.HelpName, c.Args().First()).hint("%s --help", c.Command.HelpName)
	}
	return nil
}

func noSuchTopic(name string) *failure {
	return fail(exitNotFound, fmt.Sprintf("there is no topic %q", name)).
		hint("`millstream topic ls`, or `millstream topic create %s`", name)
}
