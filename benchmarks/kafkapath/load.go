package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

const inFlight = 1000 // records that one producer has not had acknowledged

// produceRun drives one server with one load.
type produceRun struct {
	load
	address string
	warmUp  time.Duration
	seconds time.Duration
	pid     int
	during  func() error // runs beside the measured part, if there is one

	acked []atomic.Int64 // by producer: records acknowledged, in all
	sent  []int64
}

func (r *produceRun) topic(producer int) string { return fmt.Sprintf("load-%d", producer) }

// produce runs the load and returns its figures. Latency is taken for one publish at a time only: in flight
// it would be that of the client's own queue.
func (r *produceRun) produce() (map[string]float64, error) {
	r.acked, r.sent = make([]atomic.Int64, r.producers), make([]int64, r.producers)
	clients := make([]*kgo.Client, r.producers)
	for i := range clients {
		c, err := kgo.NewClient(kgo.SeedBrokers(r.address), kgo.DefaultProduceTopic(r.topic(i)),
			kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()),
			kgo.MaxBufferedRecords(inFlight), kgo.ProducerLinger(0))
		if err != nil {
			return nil, err
		}
		defer c.Close()
		clients[i] = c
		if err := c.ProduceSync(context.Background(), r.record(i, 0)).FirstErr(); err != nil {
			return nil, err
		}
		r.sent[i]++
		r.acked[i].Add(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.warmUp+r.seconds)
	defer cancel()
	errs := make([]error, r.producers)
	var latencies []time.Duration
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			if r.oneByOne {
				latencies, errs[i] = r.publish(ctx, c, i)
				return
			}
			errs[i] = r.stream(ctx, c, i)
		})
	}
	figures, err := r.sample()
	all.Wait()
	if r.oneByOne {
		measure.Latencies(figures, latencies)
	}
	return figures, errors.Join(append(errs, err)...)
}

// sample measures between the end of the warm-up and the end of the load.
func (r *produceRun) sample() (map[string]float64, error) {
	timer := time.NewTimer(r.warmUp)
	<-timer.C
	beside := make(chan error, 1)
	go func() {
		if r.during != nil {
			beside <- r.during()
		}
		close(beside)
	}()
	begin, first, err1 := r.now()
	timer.Reset(r.seconds)
	<-timer.C
	took := time.Since(begin)
	_, last, err2 := r.now()
	anonymous, err3 := measure.AnonymousMemory(r.pid)
	records := float64(last.records - first.records)
	return map[string]float64{
		"rate_per_s":              records / took.Seconds(),
		"server_cpu_s_per_m":      (last.server - first.server).Seconds() / records * 1e6,
		"client_cpu_s_per_m":      (last.client - first.client).Seconds() / records * 1e6,
		"server_anon_mb":          float64(anonymous) / (1 << 20),
		"server_written_per_byte": float64(last.disk.Since(first.disk).Written) / records / float64(r.size),
	}, errors.Join(err1, err2, err3, <-beside)
}

// counts is what is compared between two moments of a run.
type counts struct {
	records        int64
	server, client time.Duration
	disk           measure.IO // of the server
}

func (r *produceRun) now() (time.Time, counts, error) {
	c := counts{records: r.total()}
	at := time.Now()
	var err1, err2, err3 error
	c.server, err1 = measure.CPU(r.pid)
	c.client, err2 = measure.CPU(os.Getpid())
	c.disk, err3 = measure.ProcessIO(r.pid)
	return at, c, errors.Join(err1, err2, err3)
}

func (r *produceRun) total() (n int64) {
	for i := range r.acked {
		n += r.acked[i].Load()
	}
	return n
}

func (r *produceRun) stream(ctx context.Context, c *kgo.Client, producer int) error {
	var failed atomic.Pointer[error]
	for ctx.Err() == nil && failed.Load() == nil {
		c.Produce(context.Background(), r.record(producer, r.sent[producer]), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
				return
			}
			r.acked[producer].Add(1)
		})
		r.sent[producer]++
	}
	if err := c.Flush(context.Background()); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (r *produceRun) publish(ctx context.Context, c *kgo.Client, producer int) (took []time.Duration, err error) {
	for ctx.Err() == nil {
		begin := time.Now()
		err := c.ProduceSync(context.Background(), r.record(producer, r.sent[producer])).FirstErr()
		if err != nil {
			return took, err
		}
		took = append(took, time.Since(begin))
		r.sent[producer]++
		r.acked[producer].Add(1)
	}
	return took[len(took)/10:], nil // the first ones warm up
}

// record makes a value that does not compress: producer, sequence, random bytes, checksum.
func (r *produceRun) record(producer int, sequence int64) *kgo.Record {
	v := make([]byte, r.size)
	binary.BigEndian.PutUint32(v, uint32(producer))
	binary.BigEndian.PutUint64(v[4:], uint64(sequence))
	rng := rand.NewPCG(uint64(producer), uint64(sequence))
	for i := 12; i+8 <= r.size-4; i += 8 {
		binary.BigEndian.PutUint64(v[i:], rng.Uint64())
	}
	binary.BigEndian.PutUint32(v[r.size-4:], crc32.ChecksumIEEE(v[:r.size-4]))
	return &kgo.Record{Value: v}
}

// readBack consumes everything and verifies that each producer's records are there once, in order.
func (r *produceRun) readBack() (map[string]float64, error) {
	topics := make([]string, r.producers)
	for i := range topics {
		topics[i] = r.topic(i)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(r.address), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(context.Background(), topics...)
	if err != nil {
		return nil, err
	}
	var left int64
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	records := left
	next := make([]int64, r.producers)
	cpu, err := measure.CPU(r.pid)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	begin := time.Now()
	for left > 0 {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return nil, err
		}
		for it := f.RecordIter(); !it.Done(); left-- {
			if err := r.verify(it.Next(), next); err != nil {
				return nil, err
			}
		}
	}
	took := time.Since(begin)
	end, err := measure.CPU(r.pid)
	for i, n := range next {
		if n != r.sent[i] {
			err = errors.Join(err, fmt.Errorf("producer %d: %d records sent, %d read", i, r.sent[i], n))
		}
	}
	return map[string]float64{
		"consume_per_s":       float64(records) / took.Seconds(),
		"consume_cpu_s_per_m": (end - cpu).Seconds() / float64(records) * 1e6,
	}, err
}

func (r *produceRun) verify(rec *kgo.Record, next []int64) error {
	v := rec.Value
	if len(v) != r.size || crc32.ChecksumIEEE(v[:r.size-4]) != binary.BigEndian.Uint32(v[r.size-4:]) {
		return fmt.Errorf("%s@%d is torn", rec.Topic, rec.Offset)
	}
	producer, sequence := binary.BigEndian.Uint32(v), int64(binary.BigEndian.Uint64(v[4:]))
	if int(producer) >= len(next) || next[producer] != sequence {
		return fmt.Errorf("%s@%d is record %d of producer %d, out of turn",
			rec.Topic, rec.Offset, sequence, producer)
	}
	next[producer]++
	return nil
}
