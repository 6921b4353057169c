package client

import (
	"cmp"
	"context"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Topics describes topics, sorted by name: all that are there where none is named. A named one that is
// missing has its Err set to fault.UnknownTopicOrPartition. It blocks, like all calls here, and asks again
// where that may help.
func (c *Client) Topics(ctx context.Context, names ...string) ([]TopicMetadata, error) {
	var all []TopicMetadata
	err := c.retry(ctx, func() (err error) {
		all, err = c.t.Metadata(ctx, false, names...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b TopicMetadata) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Topic describes one topic. Error: fault.UnknownTopicOrPartition.
func (c *Client) Topic(ctx context.Context, name string) (TopicMetadata, error) {
	return c.catalog.fresh(ctx, name)
}

// CreateTopic makes a topic. It is not repeated, so that an answer is about this call. Errors:
// fault.TopicAlreadyExists, fault.InvalidTopic, fault.InvalidPartitions, fault.InvalidReplicationFactor,
// fault.InvalidConfig.
func (c *Client) CreateTopic(ctx context.Context, t NewTopic) (TopicAnswer, error) {
	a, err := c.t.CreateTopics(ctx, []NewTopic{t})
	return only(a, err, func(a TopicAnswer) error { return a.Err })
}

// DeleteTopic removes a topic and all its records. Error: fault.UnknownTopicOrPartition.
func (c *Client) DeleteTopic(ctx context.Context, name string) error {
	a, err := c.t.DeleteTopics(ctx, []string{name})
	_, err = only(a, err, func(a TopicAnswer) error { return a.Err })
	return err
}

// AddPartitions grows a topic to total partitions. Keys then go to other partitions than before. Errors:
// fault.UnknownTopicOrPartition, fault.InvalidPartitions.
func (c *Client) AddPartitions(ctx context.Context, topic string, total int) error {
	a, err := c.t.CreatePartitions(ctx, []MorePartitions{{Topic: topic, Total: total}})
	_, err = only(a, err, func(a TopicAnswer) error { return a.Err })
	if err == nil {
		c.catalog.refresh(topic)
	}
	return err
}

// DescribeConfigs returns every key of a topic's configuration, sorted. Error: fault.UnknownTopicOrPartition.
func (c *Client) DescribeConfigs(ctx context.Context, topic string) ([]ConfigEntry, error) {
	a, err := c.t.DescribeConfigs(ctx, []string{topic})
	d, err := only(a, err, func(a TopicConfigs) error { return a.Err })
	slices.SortFunc(d.Entries, func(a, b ConfigEntry) int { return cmp.Compare(a.Key, b.Key) })
	return d.Entries, err
}

// AlterConfigs changes single keys of a topic's configuration, all of them or none; deleted ones go back to
// their default. Errors: fault.UnknownTopicOrPartition, fault.InvalidConfig.
func (c *Client) AlterConfigs(ctx context.Context, ch ConfigChange) error {
	return c.alter(ctx, ch, false)
}

// CheckConfigs tells what AlterConfigs would be refused for, and changes nothing.
func (c *Client) CheckConfigs(ctx context.Context, ch ConfigChange) error {
	return c.alter(ctx, ch, true)
}

func (c *Client) alter(ctx context.Context, ch ConfigChange, validateOnly bool) error {
	return c.retry(ctx, func() error { // keys are set to values: twice is the same as once
		a, err := c.t.AlterConfigs(ctx, []ConfigChange{ch}, validateOnly)
		_, err = only(a, err, func(a TopicAnswer) error { return a.Err })
		return err
	})
}

// DeleteRecords deletes the records of a partition before offset to, or all that can be read now where that is
// ToHighWatermark, and returns the first offset that is left. Errors: fault.UnknownTopicOrPartition,
// fault.OffsetOutOfRange, fault.PolicyViolation on a topic that is only compacted.
func (c *Client) DeleteRecords(ctx context.Context, topic string, p record.Partition, to record.Offset) (
	record.Offset, error) {
	var d RecordsDeleted
	err := c.retry(ctx, func() error {
		a, err := c.t.DeleteRecords(ctx, []Position{{Topic: topic, Partition: p, Offset: to}})
		d, err = only(a, err, func(d RecordsDeleted) error { return d.Err })
		return err
	})
	if err != nil {
		return -1, err
	}
	return d.LogStart, nil
}

// Offsets looks offsets up, answers in the order of the queries. Refusals that may pass are asked again.
func (c *Client) Offsets(ctx context.Context, q ...OffsetQuery) ([]OffsetAnswer, error) {
	var out []OffsetAnswer
	err := c.retry(ctx, func() (err error) {
		if out, err = c.t.ListOffsets(ctx, q); err != nil {
			return err
		}
		if len(out) != len(q) {
			return fault.New(fault.Unknown, "%d answers to %d offset queries", len(out), len(q))
		}
		for i := range out {
			if code := fault.CodeOf(out[i].Err); code.Retryable() && code != fault.UnknownTopicOrPartition {
				return out[i].Err
			}
		}
		return nil
	})
	if err != nil && len(out) != len(q) {
		return nil, err
	}
	return out, nil
}

// only takes the one answer to one request.
func only[A any](a []A, err error, refusal func(A) error) (A, error) {
	var none A
	if err != nil {
		return none, err
	}
	if len(a) != 1 {
		return none, fault.New(fault.Unknown, "%d answers to one request", len(a))
	}
	return a[0], refusal(a[0])
}
