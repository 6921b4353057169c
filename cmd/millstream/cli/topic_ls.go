package cli

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	urfave "github.com/urfave/cli/v2"
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
			outputFlag(), brokersFlag(), timeoutFlag(),
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
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		topics, err := ad.ListTopicsWithInternal(ctx)
		if err != nil {
			return refused("the topics could not be listed", err, "")
		}
		if !c.Bool("internal") {
			topics.FilterInternal()
		}
		rows, err := topicRows(ctx, ad, topics)
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

func topicRows(ctx context.Context, ad *kadm.Client, topics kadm.TopicDetails) ([]topicRow, error) {
	rows := make([]topicRow, 0, len(topics)) // an empty list is [] in JSON
	if len(topics) == 0 {
		return rows, nil
	}
	starts, ends, err := bounds(ctx, ad, topics.Names()...)
	if err != nil {
		return nil, err
	}
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			continue // deleted while we looked
		}
		r := topicRow{Name: t.Topic, Partitions: len(t.Partitions), Replicas: t.Partitions.NumReplicas()}
		for p := range t.Partitions {
			r.Records += ends[t.Topic][p].Offset - starts[t.Topic][p].Offset
		}
		rows = append(rows, r)
	}
	return rows, nil
}
