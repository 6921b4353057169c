package cli

import (
	"context"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
)

func (s *shell) topicCreateCommand() *urfave.Command {
	return &urfave.Command{
		Name: "create", Usage: "make a topic", ArgsUsage: "NAME",
		Flags: []urfave.Flag{
			&urfave.IntFlag{Name: "partitions", Value: 1, Usage: "`N` partitions"},
			&urfave.IntFlag{Name: "replicas", Value: 1, Usage: "`N` copies of each partition"},
			&urfave.StringSliceFlag{Name: "config", Usage: "`KEY=VALUE` of the topic; may be repeated"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.topicCreate,
	}
}

func (s *shell) topicCreate(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	configs, err := parseConfigs(c.StringSlice("config"))
	if err != nil {
		return err
	}
	partitions, replicas := c.Int("partitions"), c.Int("replicas")
	if partitions < 1 || partitions > 1<<20 {
		return usage("--partitions %d is out of range", partitions).hint("a number from 1")
	}
	if replicas < 1 || replicas > 1<<10 {
		return usage("--replicas %d is out of range", replicas).hint("a number from 1")
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		t := client.NewTopic{Name: name, Partitions: partitions, Replicas: replicas, Configs: configs}
		if _, err := cl.CreateTopic(ctx, t); err != nil {
			f := refused(fmt.Sprintf("topic %q was not created", name), err)
			if f.code == exitConflict {
				f.hint("`millstream topic describe %s` shows the one that is there", name)
			}
			return f
		}
		fmt.Fprintf(s.Stdout, "created topic %s with %s\n", name, count(int64(partitions), "partition"))
		return nil
	})
}

// parseConfigs reads KEY=VALUE pairs.
func parseConfigs(pairs []string) (map[string]string, error) {
	configs := make(map[string]string)
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, usage("--config %q is not KEY=VALUE", p).hint("--config max.message.bytes=1048576")
		}
		configs[k] = v
	}
	return configs, nil
}
