package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

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

// partitionDetail is one partition: records lie in [start, end), the newest timestamp of them is in milliseconds
// since 1970, bytes is the size of the leader's log. The last two are -1 where there is none, or nobody says.
type partitionDetail struct {
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Epoch     int32   `json:"epoch"`
	Replicas  []int32 `json:"replicas"`
	Start     int64   `json:"start"`
	End       int64   `json:"end"`
	Newest    int64   `json:"newest"`
	Bytes     int64   `json:"bytes"`
}

// configDetail is one key of the topic's configuration and where its value comes from.
type configDetail struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

func (s *shell) topicDescribeCommand() *urfave.Command {
	return &urfave.Command{
		Name: "describe", Usage: "show a topic's partitions, offsets, sizes and configuration", ArgsUsage: "NAME",
		Flags:  []urfave.Flag{outputFlag(), brokersFlag(), timeoutFlag()},
		Action: s.topicDescribe,
	}
}

func (s *shell) topicDescribe(c *urfave.Context) error {
	name, form, err := nameAndForm(c)
	if err != nil {
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
		fmt.Fprintf(s.Stdout, "topic %s\nid    %s\n%s\n", d.Name, d.ID, d.risk())
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

// risk is a line for a topic that promises less than others, nothing for one that is durable.
func (d topicDetail) risk() string {
	value := map[string]string{}
	for _, k := range d.Configs {
		value[k.Key] = k.Value
	}
	if value["flush.policy"] != "interval" {
		return ""
	}
	return fmt.Sprintf("risk  records are acknowledged before they are durable: a power cut may lose the last %s ms of them "+
		"(flush.policy=interval)\n", value["flush.ms"])
}

func partitionListing(d topicDetail) listing {
	l := listing{
		columns: []string{"partition", "leader", "epoch", "replicas", "start", "end", "newest", "bytes"},
		names:   []string{d.Name}, value: d,
	}
	for _, p := range d.Partitions {
		l.rows = append(l.rows, []string{
			strconv.Itoa(int(p.Partition)), strconv.Itoa(int(p.Leader)), strconv.Itoa(int(p.Epoch)),
			strings.Trim(fmt.Sprint(p.Replicas), "[]"),
			strconv.FormatInt(p.Start, 10), strconv.FormatInt(p.End, 10), instant(p.Newest), known(p.Bytes),
		})
	}
	return l
}

// instant writes milliseconds since 1970 as a time, "-" where there are none.
func instant(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// known writes a number, "-" where it is not known.
func known(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
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

// extent asks for newest timestamps and for sizes. Not every server can tell: what it does not is -1.
func extent(ctx context.Context, ad *kadm.Client, t kadm.TopicDetail) (
	newest func(partition int32) int64, bytes func(p kadm.PartitionDetail) int64,
) {
	top, _ := ad.ListMaxTimestampOffsets(ctx, t.Topic) // a refusal is as good as no answer
	newest = func(partition int32) int64 {
		if o, ok := top.Lookup(t.Topic, partition); ok && o.Err == nil {
			return o.Timestamp
		}
		return -1
	}
	wanted := kadm.TopicsSet{}
	for _, p := range t.Partitions {
		wanted.Add(t.Topic, p.Partition)
	}
	dirs, _ := ad.DescribeAllLogDirs(ctx, wanted)
	bytes = func(p kadm.PartitionDetail) int64 {
		for _, dir := range dirs[p.Leader] {
			if d, ok := dir.Topics.Lookup(t.Topic, p.Partition); ok && dir.Err == nil {
				return d.Size
			}
		}
		return -1
	}
	return newest, bytes
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
	newest, sizes := extent(ctx, ad, t)
	d := topicDetail{
		Name: name, ID: base64.RawURLEncoding.EncodeToString(t.ID[:]), Internal: t.IsInternal,
		Configs: []configDetail{},
	}
	for _, p := range t.Partitions.Sorted() {
		d.Partitions = append(d.Partitions, partitionDetail{
			Partition: p.Partition, Leader: p.Leader, Epoch: p.LeaderEpoch, Replicas: p.Replicas,
			Start: starts[name][p.Partition].Offset, End: ends[name][p.Partition].Offset,
			Newest: newest(p.Partition), Bytes: sizes(p),
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
