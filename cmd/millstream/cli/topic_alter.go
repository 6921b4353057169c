package cli

import (
	"context"
	"fmt"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
)

func (s *shell) topicAlterCommand() *urfave.Command {
	return &urfave.Command{
		Name: "alter", Usage: "change a topic's configuration", ArgsUsage: "NAME",
		Flags: []urfave.Flag{
			&urfave.StringSliceFlag{Name: "config", Usage: "`KEY=VALUE` to set; may be repeated"},
			&urfave.StringSliceFlag{Name: "delete-config", Usage: "`KEY` that gets its default back; may be repeated"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say whether the change would be taken"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.topicAlter,
	}
}

func (s *shell) topicAlter(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	change, err := configChange(name, c.StringSlice("config"), c.StringSlice("delete-config"))
	if err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		if _, err := topicOf(ctx, cl, name); err != nil {
			return err
		}
		alter, done := cl.AlterConfigs, "altered"
		if c.Bool("dry-run") {
			alter, done = cl.CheckConfigs, "would alter"
		}
		if err := alter(ctx, change); err != nil {
			return refused(fmt.Sprintf("topic %q was not altered", name), err)
		}
		fmt.Fprintf(s.Stdout, "%s topic %s\n", done, name)
		return nil
	})
}

// configChange turns options into a change, which a member takes in whole or not at all.
func configChange(topic string, set, deleted []string) (client.ConfigChange, error) {
	change := client.ConfigChange{Topic: topic, Delete: deleted}
	if len(set)+len(deleted) == 0 {
		return change, usage("topic alter takes something to change").
			hint("--config retention.ms=3600000, or --delete-config retention.ms")
	}
	var err error
	if change.Set, err = parseConfigs(set); err != nil {
		return change, err
	}
	for _, key := range deleted {
		if _, ok := change.Set[key]; ok {
			return change, usage("%s is set and deleted", key).hint("one of --config and --delete-config")
		}
	}
	return change, nil
}
