package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

const (
	wordsGrouped   = "word count/GroupBy and Count"
	wordsProcessor = "word count/a processor with a store"
	wordsByHand    = "word count/by hand"

	perLine        = 8
	wordPartitions = 2
)

// countWords counts the same lines three times: by a topology that brings the words together by a repartition topic,
// by one that counts where it reads, as the loop by hand does, and by that loop. Each writes every update out. The
// topologies keep their counts in a changelogged store; the loop forgets them.
func (c settings) countWords(dir string, out *measure.Results, n int) error {
	m, err := startMember(dir)
	if err != nil {
		return err
	}
	err = c.writeLines(m)
	subjects := []struct {
		name  string
		count func(member, settings, string) error
	}{{wordsGrouped, countGrouped}, {wordsProcessor, countProcessed}, {wordsByHand, countByHand}}
	for i := range subjects {
		if err != nil {
			break
		}
		s := subjects[(i+n)%len(subjects)] // who is first changes
		topic := fmt.Sprintf("updates-%d", i)
		if err = m.create(wordPartitions, topic); err != nil {
			break
		}
		var w watch
		var figures map[string]float64
		if w, err = startWatch(); err == nil {
			err = s.count(m, c, topic)
		}
		if err == nil {
			figures, err = w.figures(c.lines, "line")
			out.Add(s.name, n, figures)
		}
	}
	return errors.Join(err, m.Close())
}

func (c settings) writeLines(m member) error {
	if err := m.create(wordPartitions, "lines"); err != nil {
		return err
	}
	next := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 1, uint64(c.words-1)).Uint64
	return m.produce(c.lines, func(i int) client.Record {
		var line []byte
		for range perLine {
			line = fmt.Appendf(line, "word%d ", next())
		}
		return client.Record{Topic: "lines", Value: line}.At(record.Partition(i % wordPartitions))
	})
}

var (
	lines = topology.NewTopic("lines", serde.String, serde.String)
	seen  = topology.KV("seen", serde.String, serde.Int64)
)

func countGrouped(m member, c settings, topic string) error {
	b := topology.NewBuilder("grouped")
	words := topology.FlatMapValues(topology.From(b, lines, topology.FromEarliest()), strings.FieldsSeq)
	topology.GroupBy(words, serde.String, func(_, w string) string { return w }).Count(seen).ToStream().
		To(topology.NewTopic(topic, serde.String, serde.Int64))
	return c.countAll(m, b, topic)
}

func countProcessed(m member, c settings, topic string) error {
	b := topology.NewBuilder("processed")
	topology.Process(topology.From(b, lines, topology.FromEarliest()),
		func() topology.Processor[string, string, string, int64] { return &counter{} }, topology.Using(seen)).
		To(topology.NewTopic(topic, serde.String, serde.Int64))
	return c.countAll(m, b, topic)
}

// countAll runs a topology until every update is out, and committed.
func (c settings) countAll(m member, b *topology.Builder, topic string) error {
	a, err := m.run(b)
	if err != nil {
		return err
	}
	err = a.await(func() (bool, error) {
		n, err := m.ends(topic)
		return n >= record.Offset(perLine*c.lines), err
	})
	return errors.Join(err, a.stop())
}

// counter counts the words of its own partition.
type counter struct {
	store *topology.KeyValue[string, int64]
}

func (p *counter) Init(ctx *topology.ProcessorContext[string, int64]) (err error) {
	p.store, err = topology.Open(ctx, seen)
	return err
}

func (p *counter) Process(ctx *topology.ProcessorContext[string, int64], r topology.Record[string, string]) error {
	for w := range strings.FieldsSeq(r.Value) {
		n, _, err := p.store.Get(w)
		if err == nil {
			err = p.store.Put(w, n+1)
		}
		if err != nil {
			return err
		}
		ctx.Forward(topology.Record[string, int64]{Key: w, Value: n + 1, Meta: r.Meta})
	}
	return nil
}

func (p *counter) Close() error { return nil }

// countByHand is the loop that people write: poll, count in a map, produce every update, wait for the
// acknowledgements, commit.
func countByHand(m member, c settings, topic string) error {
	k, err := kgo.NewClient(
		kgo.SeedBrokers(m.KafkaAddr()), kgo.ConsumerGroup("by-hand"), kgo.ConsumeTopics("lines"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0),
	)
	if err != nil {
		return err
	}
	defer k.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	counts := map[string]int64{}
	refused := make(chan error, 1)
	for left := c.lines; left > 0; {
		f := k.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return err
		}
		f.EachRecord(func(r *kgo.Record) {
			left--
			for w := range strings.FieldsSeq(string(r.Value)) {
				counts[w]++
				update := &kgo.Record{Key: []byte(w), Value: binary.BigEndian.AppendUint64(nil, uint64(counts[w]))}
				k.Produce(ctx, update, func(_ *kgo.Record, err error) {
					if err != nil {
						select {
						case refused <- err:
						default:
						}
					}
				})
			}
		})
		if err := errors.Join(k.Flush(ctx), k.CommitUncommittedOffsets(ctx)); err != nil {
			return err
		}
		select {
		case err := <-refused:
			return err
		default:
		}
	}
	return nil
}
