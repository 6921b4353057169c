package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// offsetsAtOnce is how many offsets one question asks for.
const offsetsAtOnce = 2000

// extent is what a partition holds: [start, end).
type extent struct{ start, end record.Offset }

// extents returns what every partition of some topics holds. A topic that has gone meanwhile has none.
func extents(ctx context.Context, cl *client.Client, topics ...client.TopicMetadata) (map[string][]extent, error) {
	starts, err := lookUp(ctx, cl, client.TimestampEarliest, topics)
	if err != nil {
		return nil, err
	}
	ends, err := lookUp(ctx, cl, client.TimestampLatest, topics)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]extent, len(topics))
	for topic, offsets := range ends {
		for p, end := range offsets {
			if p < len(starts[topic]) {
				out[topic] = append(out[topic], extent{starts[topic][p], end})
			}
		}
	}
	return out, nil
}

// lookUp asks for one offset of every partition of some topics. A topic that has gone meanwhile is left out.
func lookUp(ctx context.Context, cl *client.Client, timestampMs int64, topics []client.TopicMetadata) (
	map[string][]record.Offset, error,
) {
	var ask []client.OffsetQuery
	for _, t := range topics {
		for p := range t.Partitions {
			ask = append(ask, client.OffsetQuery{Topic: t.Name, Partition: record.Partition(p), TimestampMs: timestampMs})
		}
	}
	out, gone := map[string][]record.Offset{}, map[string]bool{}
	for part := range slices.Chunk(ask, offsetsAtOnce) {
		answers, err := cl.Offsets(ctx, part...)
		if err != nil {
			return nil, refused("the offsets could not be read", err)
		}
		for i, a := range answers {
			switch q := part[i]; {
			case errors.Is(a.Err, fault.UnknownTopicOrPartition):
				gone[q.Topic] = true
			case a.Err != nil:
				what := fmt.Sprintf("the offsets of topic %q, partition %d, could not be read", q.Topic, q.Partition)
				return nil, refused(what, a.Err)
			default:
				out[q.Topic] = append(out[q.Topic], a.Offset)
			}
		}
	}
	for topic := range gone {
		delete(out, topic)
	}
	return out, nil
}
