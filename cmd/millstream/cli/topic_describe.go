package cli

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
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
// since 1970, bytes is the size of the log at the member that was asked. The last two are -1 where there is none, or nobody
// says; so is the leader.
type partitionDetail struct {
	Partition int               `json:"partition"`
	Leader    int64             `json:"leader"`
	Epoch     record.Epoch      `json:"epoch"`
	Replicas  []record.MemberID `json:"replicas"`
	Start     record.Offset     `json:"start"`
	End       record.Offset     `json:"end"`
	Newest    int64             `json:"newest"`
	Bytes     int64             `json:"bytes"`
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
		Flags:  []urfave.Flag{outputFlag(), addrFlag(), timeoutFlag()},
		Action: s.topicDescribe,
	}
}

func (s *shell) topicDescribe(c *urfave.Context) error {
	name, form, err := nameAndForm(c)
	if err != nil {
		return err
	}
	return s.member(c, func(ctx context.Context, cl *client.Client) error {
		d, err := describeTopic(ctx, cl, name)
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
			strconv.Itoa(p.Partition), strconv.FormatInt(p.Leader, 10), strconv.Itoa(int(p.Epoch)),
			strings.Trim(fmt.Sprint(p.Replicas), "[]"),
			strconv.FormatInt(int64(p.Start), 10), strconv.FormatInt(int64(p.End), 10), instant(p.Newest), known(p.Bytes),
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
func topicOf(ctx context.Context, cl *client.Client, name string) (client.TopicMetadata, error) {
	topics, err := topicsOf(ctx, cl, []string{name})
	if err != nil {
		return client.TopicMetadata{}, err
	}
	return topics[0], nil
}

// topicsOf returns topics, each once and sorted by name, or the failure that one is not there.
func topicsOf(ctx context.Context, cl *client.Client, names []string) ([]client.TopicMetadata, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	topics, err := cl.Topics(ctx, names...)
	if err != nil {
		return nil, refused(fmt.Sprintf("topic %q could not be looked up", strings.Join(names, ", ")), err)
	}
	for _, t := range topics {
		if errors.Is(t.Err, fault.UnknownTopicOrPartition) {
			return nil, noSuchTopic(t.Name)
		}
		if t.Err != nil {
			return nil, refused(fmt.Sprintf("topic %q could not be looked up", t.Name), t.Err)
		}
	}
	return topics, nil
}

// sources are the words for where the value of a key comes from.
var sources = map[string]string{"topic": "dynamic topic config", "default": "default config"}

func describeTopic(ctx context.Context, cl *client.Client, name string) (topicDetail, error) {
	t, err := topicOf(ctx, cl, name)
	if err != nil {
		return topicDetail{}, err
	}
	logs, err := cl.DescribeLogs(ctx, name)
	if err != nil {
		return topicDetail{}, refused(fmt.Sprintf("the logs of topic %q could not be described", name), err)
	}
	d := topicDetail{
		Name: name, ID: base64.RawURLEncoding.EncodeToString(t.ID[:]), Internal: t.Internal, Configs: []configDetail{},
	}
	for n, p := range t.Partitions {
		if n >= len(logs) {
			break // another topic by this name has been made meanwhile
		}
		if l := logs[n]; l.Err != nil {
			return d, refused(fmt.Sprintf("the offsets of topic %q, partition %d, could not be read", name, n), l.Err)
		}
		of := partitionDetail{
			Partition: n, Leader: int64(p.Leader), Epoch: p.LeaderEpoch, Replicas: p.Replicas, Start: logs[n].Start,
			End: logs[n].End, Newest: logs[n].NewestMs, Bytes: logs[n].Bytes,
		}
		if p.Leader == 0 {
			of.Leader = -1
		}
		d.Partitions = append(d.Partitions, of)
	}
	entries, err := cl.DescribeConfigs(ctx, name)
	if err != nil {
		return d, refused(fmt.Sprintf("the configuration of topic %q could not be read", name), err)
	}
	for _, k := range entries {
		d.Configs = append(d.Configs, configDetail{Key: k.Key, Value: k.Value, Source: cmp.Or(sources[k.Source], k.Source)})
	}
	return d, nil
}
