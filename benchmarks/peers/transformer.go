package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/drive"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
	"github.com/millstream-io/millstream/cmd/examples/texts"
	"github.com/millstream-io/millstream/topology"
)

// The two ways to transform text: a topology on the member, and a loop written by hand against the same
// member.
const (
	topologyOnMember = "topology-on-member"
	loopOnMember     = "franz-go-loop"
)

const (
	inputTopic  = "text-input"
	outputTopic = "text-output"
)

// transformer is the topology of the example text-transformer.
func transformer() (*topology.Topology, error) {
	b := topology.NewBuilder("text-transformer")
	lines := topology.From(b, topology.NewTopic[string, string](inputTopic, nil, nil), topology.FromEarliest())
	kept := lines.Filter(func(_, line string) bool { return strings.Contains(line, "a") })
	topology.MapValues(kept, strings.ToUpper).To(topology.NewTopic[string, string](outputTopic, nil, nil))
	return b.Build()
}

// line is what the input holds at n: a number and a line of a book.
func line(book []string, n int64) string { return fmt.Sprintf("%09d %s", n, book[n%int64(len(book))]) }

// transform fills the input, has one of the two work on it, and measures from a tenth of the output to all
// of it, so that neither's start counts. The output is verified line by line.
func (c settings) transform(s peer) (figures map[string]float64, err error) {
	var book []string
	for l := range texts.Sherlock() {
		book = append(book, l)
	}
	start := func(data string) (*server.Process, error) {
		return server.Start([]string{c.self, "transformer", data})
	}
	err = c.with(start, func(p *server.Process) (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		client, err := kgo.NewClient(kgo.SeedBrokers(p.Kafka))
		if err != nil {
			return err
		}
		defer client.Close()
		want, err := fillText(ctx, client, book, c.records)
		if err != nil {
			return err
		}
		loop := make(chan error, 1)
		looping, stop := context.WithCancel(ctx)
		if s.name == loopOnMember {
			go func() { loop <- loopByHand(looping, p.Kafka) }()
		} else {
			loop <- nil
			err = syscall.Kill(p.Pid(), syscall.SIGUSR1)
		}
		if err == nil {
			figures, err = watch(ctx, client, p.Pid(), c.records, want)
		}
		stop()
		return errors.Join(err, <-loop, verifyText(ctx, p.Kafka, book, c.records))
	})
	return figures, err
}

// fillText makes the topics and writes the input. want is how many lines ought to come out.
func fillText(ctx context.Context, c *kgo.Client, book []string, records int64) (want int64, err error) {
	made, err := kadm.NewClient(c).CreateTopics(ctx, 1, 1, nil, inputTopic, outputTopic)
	if err = errors.Join(err, made.Error()); err != nil {
		return 0, err
	}
	var failed error
	for n := range records {
		text := line(book, n)
		if strings.Contains(text, "a") {
			want++
		}
		c.Produce(ctx, &kgo.Record{Topic: inputTopic, Value: []byte(text)}, func(_ *kgo.Record, err error) {
			failed = errors.Join(failed, err) // promises run one after another
		})
	}
	return want, errors.Join(c.Flush(ctx), failed)
}

// loopByHand is the loop as one writes it with franz-go: at least once, the output acknowledged before the
// input is committed.
func loopByHand(ctx context.Context, address string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup("by-hand"), kgo.ConsumeTopics(inputTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.DefaultProduceTopic(outputTopic),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := f.Err(); err != nil {
			return err
		}
		var failed error
		f.EachRecord(func(r *kgo.Record) {
			if text := string(r.Value); strings.Contains(text, "a") {
				c.Produce(ctx, &kgo.Record{Value: []byte(strings.ToUpper(text))}, func(_ *kgo.Record, err error) {
					failed = errors.Join(failed, err)
				})
			}
		})
		err := errors.Join(c.Flush(ctx), failed)
		if err == nil {
			err = c.CommitUncommittedOffsets(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// watch waits until want lines are there, and measures from the first tenth on.
func watch(ctx context.Context, c *kgo.Client, pid int, records, want int64) (map[string]float64, error) {
	admin := kadm.NewClient(c)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var begin time.Time
	var first int64
	var server, client time.Duration
	for {
		ends, err := admin.ListEndOffsets(ctx, outputTopic)
		if err = errors.Join(err, ends.Error()); err != nil {
			return nil, err
		}
		o, _ := ends.Lookup(outputTopic, 0)
		if begin.IsZero() && o.Offset < want && o.Offset >= want/10 || o.Offset >= want {
			serverNow, err1 := measure.CPU(pid)
			clientNow, err2 := measure.CPU(os.Getpid())
			if err := errors.Join(err1, err2); err != nil {
				return nil, err
			}
			if o.Offset >= want {
				took := time.Since(begin)
				if begin.IsZero() {
					return map[string]float64{}, nil // all at once: too few to measure
				}
				in := float64(records) * float64(want-first) / float64(want)
				return map[string]float64{
					"rate_per_s":         in / took.Seconds(),
					"server_cpu_s_per_m": (serverNow - server).Seconds() / in * 1e6,
					"client_cpu_s_per_m": (clientNow - client).Seconds() / in * 1e6,
					"all_cpu_s_per_m":    (serverNow - server + clientNow - client).Seconds() / in * 1e6,
				}, nil
			}
			begin, first, server, client = time.Now(), o.Offset, serverNow, clientNow
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d lines: %w", o.Offset, want, ctx.Err())
		}
	}
}

// verifyText reads the output and wants every line once, in order.
func verifyText(ctx context.Context, address string, book []string, records int64) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(outputTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer c.Close()
	for n := int64(0); n < records; {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return &drive.Invalid{Err: err}
		}
		for it := f.RecordIter(); !it.Done(); n++ {
			r := it.Next()
			for n < records && !strings.Contains(line(book, n), "a") {
				n++
			}
			if want := strings.ToUpper(line(book, n)); string(r.Value) != want {
				return &drive.Invalid{Err: fmt.Errorf("%q at %d in the place of %q", r.Value, r.Offset, want)}
			}
		}
		for n < records && !strings.Contains(line(book, n), "a") {
			n++
		}
	}
	return nil
}
