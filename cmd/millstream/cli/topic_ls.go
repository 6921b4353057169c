package cli

import (
	"context"
	"slices"
	"strconv"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
)

// topicRow is one topic of `topic ls`. Records is what lies between the first and the next offset of all
// partitions.
type topicRow struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Records    int64  `json:"records"`
}

func (s *shell) topicListCommand() *urfave.Command {
	return &urfave.Command{
		Name: "ls", Usage: "list topics",
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "internal", Usage: "also those that the engine keeps for itself"},
			outputFlag(), addrFlag(), timeoutFlag(),
		},
		Action: s.topicList,
	}
}

func (s *shell) topicList(c *urfave.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if err := checkOutput(c.String("output")); err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		topics, err := cl.Topics(ctx)
		if err != nil {
			return refused("the topics could not be listed", err)
		}
		topics = slices.DeleteFunc(topics, func(t client.TopicMetadata) bool {
			return t.Err != nil || t.Internal && !c.Bool("internal")
		})
		rows, err := topicRows(ctx, cl, topics)
		if err != nil {
			return err
		}
		l := listing{columns: []string{"name", "partitions", "replicas", "records"}, value: rows}
		for _, r := range rows {
			l.names = append(l.names, r.Name)
			l.rows = append(l.rows, []string{
				r.Name, strconv.Itoa(r.Partitions), strconv.Itoa(r.Replicas), strconv.FormatInt(r.Records, 10),
			})
		}
		return s.show(c.String("output"), l)
	})
}

func topicRows(ctx context.Context, cl *client.Client, topics []client.TopicMetadata) ([]topicRow, error) {
	rows := make([]topicRow, 0, len(topics)) // an empty list is [] in JSON
	held, err := extents(ctx, cl, topics...)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		if held[t.Name] == nil {
			continue // deleted while we looked
		}
		rows = append(rows, topicRow{
			Name: t.Name, Partitions: len(t.Partitions), Replicas: len(t.Partitions[0].Replicas), Records: records(held[t.Name]),
		})
	}
	return rows, nil
}

// records is how many offsets lie between the ends of partitions.
func records(partitions []extent) (n int64) {
	for _, e := range partitions {
		n += int64(e.end - e.start)
	}
	return n
}
