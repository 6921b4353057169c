package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/kafkaload"
	"github.com/millstream-io/millstream/benchmarks/server"
)

const (
	loadTopic    = "load"
	scanTopic    = "scan"
	salvageTopic = "salvage"
	compactTopic = "compact"

	scanPartitions    = 16
	salvagePartitions = 16
	keptPartitions    = 3 // of those: less than a quarter of each bucket, so the store rewrites it
	compactPartitions = 4

	filledValue = 16 << 10 // bytes of a record that fills a topic
	lagKey      = "min.compaction.lag.ms"
)

// filling is a topic and what it is filled with.
type filling struct {
	topic      string
	partitions int
	records    int64
	keys       int // in each partition, written in no order: every bucket keeps some
	configs    map[string]string
}

func (c settings) fillings() []filling {
	records := func(megabytes int) int64 { return int64(megabytes) << 20 / filledValue }
	return []filling{
		{topic: scanTopic, partitions: scanPartitions, records: records(c.scan)},
		{topic: salvageTopic, partitions: salvagePartitions, records: records(c.salvage)},
		{
			topic: compactTopic, partitions: compactPartitions, records: records(c.compact),
			keys:    int(max(1, records(c.compact)/2/compactPartitions)), // each is written about twice
			configs: map[string]string{"cleanup.policy": "compact", lagKey: "3600000"},
		},
		{topic: loadTopic, partitions: c.partitions},
	}
}

// filled starts a member, makes the topics, fills them one after the other, so that each has buckets of its
// own, and stops it.
func (c settings) filled(command []string) error {
	p, err := server.Start(command)
	if err != nil {
		return err
	}
	for _, f := range c.fillings() {
		if err := f.write(p.Kafka, c.batchBytes(f.partitions)); err != nil {
			p.Kill()
			return fmt.Errorf("fill topic %s: %w", f.topic, err)
		}
	}
	return p.Stop()
}

// batchBytes is the most that a batch holds, so that every bucket has several of each partition, however fast
// the member is and however much the client has gathered meanwhile. It has room for one record at the least.
func (c settings) batchBytes(partitions int) int {
	const one, most = filledValue + 1<<10, 1_000_000
	return min(max(c.bucketBytes/partitions/8, one), most)
}

func (f filling) write(address string, batchBytes int) (err error) {
	ctx := context.Background()
	if err := kafkaload.Create(ctx, address, f.topic, f.partitions, f.configs); err != nil || f.records == 0 {
		return err
	}
	w, err := kafkaload.NewWriter(address, f.topic, f.partitions, filledValue,
		kgo.ProducerBatchMaxBytes(int32(batchBytes)))
	if err != nil {
		return err
	}
	defer w.Client.Close()
	w.Keys = f.keys
	err = w.Write(ctx, f.records)
	if err == nil && w.Produced() != f.records {
		err = errors.New("not everything was acknowledged")
	}
	return err
}
