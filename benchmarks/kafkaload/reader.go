package kafkaload

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ReadAll reads a topic from the beginning of its partitions to where they end now, one partition after the
// other, and returns the bytes of the values. A record that is missing is an error.
func ReadAll(ctx context.Context, address, topic string, partitions int) (payload int64, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	for p := int32(0); p < int32(partitions) && err == nil; p++ {
		end, ok := ends.Lookup(topic, p)
		if !ok {
			return payload, fmt.Errorf("partition %d of %s has no end", p, topic)
		}
		var n int64
		n, err = readPartition(ctx, address, topic, p, end.Offset)
		payload += n
	}
	return payload, err
}

func readPartition(ctx context.Context, address, topic string, p int32, end int64) (payload int64, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {p: kgo.NewOffset().AtStart()},
	}))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for next := int64(0); next < end; {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return payload, err
		}
		for it := f.RecordIter(); !it.Done(); {
			r := it.Next()
			if r.Offset != next {
				return payload, fmt.Errorf("%s/%d: offset %d in the place of %d", topic, p, r.Offset, next)
			}
			next++
			payload += int64(len(r.Value))
		}
	}
	return payload, nil
}
