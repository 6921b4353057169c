package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	urfave "github.com/urfave/cli/v2"
)

func (s *shell) topicAlterCommand() *urfave.Command {
	return &urfave.Command{
		Name: "alter", Usage: "change a topic's configuration", ArgsUsage: "NAME",
		Flags: []urfave.Flag{
			&urfave.StringSliceFlag{Name: "config", Usage: "`KEY=VALUE` to set; may be repeated"},
			&urfave.StringSliceFlag{Name: "delete-config", Usage: "`KEY` that gets its default back; may be repeated"},
			&urfave.BoolFlag{Name: "dry-run", Usage: "only say whether the change would be taken"},
			brokersFlag(), timeoutFlag(),
		},
		Action: s.topicAlter,
	}
}

func (s *shell) topicAlter(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	changes, err := configChanges(c.StringSlice("config"), c.StringSlice("delete-config"))
	if err != nil {
		return err
	}
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		if _, err := topicOf(ctx, ad, name); err != nil {
			return err
		}
		alter, done := ad.AlterTopicConfigs, "altered"
		if c.Bool("dry-run") {
			alter, done = ad.ValidateAlterTopicConfigs, "would alter"
		}
		responses, err := alter(ctx, changes, name)
		message := ""
		if err == nil {
			var r kadm.AlterConfigsResponse
			if r, err = responses.On(name, nil); err == nil {
				err, message = r.Err, r.ErrMessage
			}
		}
		if err != nil {
			return refused(fmt.Sprintf("topic %q was not altered", name), err, message)
		}
		fmt.Fprintf(s.Stdout, "%s topic %s\n", done, name)
		return nil
	})
}

// configChanges turns options into operations, which a member takes together or not at all.
func configChanges(set, deleted []string) ([]kadm.AlterConfig, error) {
	if len(set)+len(deleted) == 0 {
		return nil, usage("topic alter takes something to change").
			hint("--config retention.ms=3600000, or --delete-config retention.ms")
	}
	pairs, err := parseConfigs(set)
	if err != nil {
		return nil, err
	}
	changes := make([]kadm.AlterConfig, 0, len(pairs)+len(deleted))
	for _, key := range deleted {
		if _, ok := pairs[key]; ok {
			return nil, usage("%s is set and deleted", key).hint("one of --config and --delete-config")
		}
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
	}
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: pairs[key]})
	}
	return changes, nil
}
