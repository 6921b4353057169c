package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	urfave "github.com/urfave/cli/v2"
)

// topicDetail is one topic of `topic describe`. The id is written as Kafka's tools write it.
type topicDetail struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Internal   bool              `json:"internal"`
	Partitions []partitionDetail `json:"partitions"`
	Configs    []configDetail    `json:"configs"`
}

// partitionDetail is one partition: records lie in [start, end).
type partitionDetail struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Epoch     int32   `json:"epoch"`
	Replicas  []int32 `json:"replicas"`
	Start     int64   `json:"start"`
	End       int64   `json:"end"`
}

// configDetail is one key of the topic's configuration and where its value comes from.
type configDetail struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

func (s *shell) topicDescribeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "describe", Usage: "show a topic's partitions, offsets and configuration", ArgsUsage: "NAME",
		Flags:  []urfave.Flag{outputFlag(), brokersFlag(), timeoutFlag()},
		Action: s.topicDescribe,
	}
}

func (s *shell) topicDescribe(c *urfave.Context) error {
	name, err := oneArgument(c, "NAME")
	if err != nil {
		return err
	}
	form := c.String("output")
	if err := checkOutput(form); err != nil {
		return err
	}
	return s.admin(c, func(ctx context.Context, ad *kadm.Client) error {
		d, err := describeTopic(ctx, ad, name)
		if err != nil {
			return err
		}
		partitions := partitionListing(d)
		if form != "table" {
			return s.show(form, partitions)
		}
		fmt.Fprintf(s.Stdout, "topic %s\nid    %s\n\n", d.Name, d.ID)
		if err := s.show(form, partitions); err != nil {
			return err
		}
		fmt.Fprintln(s.Stdout)
		configs := listing{columns: []string{"config", "value", "source"}}
		for _, k := range d.Configs {
			configs.rows = append(configs.rows, []string{k.Key, k.Value, k.Source})
		}
		return s.show(form, configs)
	})
}

func partitionListing(d topicDetail) listing {
	l := listing{
		columns: []string{"partition", "leader", "epoch", "replicas", "start", "end"},
		names:   []string{d.Name}, value: d,
	}
	for _, p := range d.Partitions {
		l.rows = append(l.rows, []string{
			strconv.Itoa(int(p.Partition)), strconv.Itoa(int(p.Leader)), strconv.Itoa(int(p.Epoch)),
			strings.Trim(fmt.Sprint(p.Replicas), "[]"),
			strconv.FormatInt(p.Start, 10), strconv.FormatInt(p.End, 10),
		})
	}
	return l
}

// topicOf returns one topic, or the failure that there is none.
func topicOf(ctx context.Context, ad *kadm.Client, name string) (kadm.TopicDetail, error) {
	topics, err := ad.ListTopicsWithInternal(ctx, name)
	if err != nil {
		return kadm.TopicDetail{}, refused(fmt.Sprintf("topic %q could not be looked up", name), err, "")
	}
	t, ok := topics[name]
	if !ok || !topics.Has(name) {
		if ok && t.Err != nil {
			f := refused(fmt.Sprintf("topic %q could not be looked up", name), t.Err, "")
			if f.code != exitNotFound {
				return t, f
			}
		}
		return t, noSuchTopic(name)
	}
	return t, nil
}

func describeTopic(ctx context.Context, ad *kadm.Client, name string) (topicDetail, error) {
	t, err := topicOf(ctx, ad, name)
	if err != nil {
		return topicDetail{}, err
	}
	starts, ends, err := bounds(ctx, ad, name)
	if err != nil {
		return topicDetail{}, err
	}
	d := topicDetail{
		Name: name, ID: base64.RawURLEncoding.EncodeToString(t.ID[:]), Internal: t.IsInternal,
		Configs: []configDetail{},
	}
	for _, p := range t.Partitions.Sorted() {
		d.Partitions = append(d.Partitions, partitionDetail{
			Partition: p.Partition, Leader: p.Leader, Epoch: p.LeaderEpoch, Replicas: p.Replicas,
			Start: starts[name][p.Partition].Offset, End: ends[name][p.Partition].Offset,
		})
	}
	resources, err := ad.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return d, refused(fmt.Sprintf("the configuration of topic %q could not be read", name), err, "")
	}
	for _, r := range resources {
		for _, k := range r.Configs {
			source := strings.ToLower(strings.ReplaceAll(k.Source.String(), "_", " "))
			d.Configs = append(d.Configs, configDetail{Key: k.Key, Value: k.MaybeValue(), Source: source})
		}
	}
	sort.Slice(d.Configs, func(i, j int) bool { return d.Configs[i].Key < d.Configs[j].Key })
	return d, nil
}
