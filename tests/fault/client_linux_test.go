package fault

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millstream-io/millstream/proto/record"
)

const (
	memberID   = 1 // of the only member
	partitions = 2
)

var topics = []string{"small", "mixed", "large"}

// sizes are the values' bytes in each topic: below and above what stays beside its key, and in entries of
// their own.
var sizes = map[string][]int{"small": {40, 100}, "mixed": {100, 900, 20_000}, "large": {20_000, 60_000}}

func connect(t *testing.T, address string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func create(t *testing.T, address string, names ...string) {
	t.Helper()
	c := connect(t, address)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answers, err := kadm.NewClient(c).CreateTopics(ctx, partitions, 1, nil, names...)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// load is a producer that goes on until it is stopped, over every error that a client may try again.
type load struct {
	acked *journal
	stop  func()

	mu  sync.Mutex
	err error // the first that reached the application while the load went on
}

// startLoad begins to write to all topics, acks=all and idempotent. What is acknowledged goes into the
// journal.
func startLoad(t *testing.T, address string, rng *rand.Rand, acked *journal) *load {
	ctx, cancel := context.WithCancel(context.Background())
	c := connect(t, address, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(time.Millisecond),
		kgo.MaxBufferedRecords(300), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.MetadataMinAge(50*time.Millisecond))
	l := &load{acked: acked}
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			topic := topics[i%len(topics)]
			of := sizes[topic]
			value := newValue(rng, of[rng.IntN(len(of))])
			c.Produce(ctx, &kgo.Record{Topic: topic, Value: value}, func(r *kgo.Record, err error) {
				l.told(ctx, r, err)
			})
		}
	})
	l.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		c.Close()
	})
	t.Cleanup(l.stop)
	return l
}

func (l *load) told(ctx context.Context, r *kgo.Record, err error) {
	if err == nil {
		l.acked.add(at{part{r.Topic, r.Partition}, r.Offset}, crc32.ChecksumIEEE(r.Value))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() == nil && l.err == nil {
		l.err = err
	}
}

// failure is the first error that was not taken care of by trying again.
func (l *load) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// writeOnce writes one record without a second try and returns what the member answered.
func writeOnce(t *testing.T, address string, acked *journal) error {
	t.Helper()
	return write(t, address, topics[0], newValue(rand.New(rand.NewPCG(1, 1)), 100), acked)
}

// write is writeOnce of a value to partition 0 of a topic. It asks by hand: what the member answers is not
// translated.
func write(t *testing.T, address, topic string, value []byte, acked *journal) error {
	t.Helper()
	c := connect(t, address, kgo.MaxVersions(kversion.V2_8_0())) // topics by name
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var one record.Builder
	if err := one.Append(&record.Record{Value: value, TimestampMs: time.Now().UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	batch, err := one.Build(0, record.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	q := kmsg.NewProduceRequest()
	q.Acks, q.TimeoutMillis = -1, 3000
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = batch
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	q.Topics = append(q.Topics, rt)
	resp, err := c.Broker(memberID).RetriableRequest(ctx, &q)
	if err != nil {
		return err
	}
	answer := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return err
	}
	acked.add(at{part{topic, 0}, answer.BaseOffset}, crc32.ChecksumIEEE(value))
	return nil
}

// readback is what a member serves.
type readback struct {
	found   map[at]uint32
	refused map[at]error // records that it says it cannot serve
	faults  []error      // records that are torn or stand at a wrong offset
}

// refusal is one of the errors that records were refused with.
func (r *readback) refusal() error {
	for _, err := range r.refused {
		return err
	}
	return nil
}

// readAll reads every partition from its beginning to its end, and beyond where the journal goes on. A record
// that is refused is stepped over.
func readAll(t *testing.T, address string, acked *journal) *readback {
	t.Helper()
	c := connect(t, address, kgo.MaxVersions(kversion.V2_8_0())) // topics by name
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r := &readback{found: map[at]uint32{}, refused: map[at]error{}}
	ends := acked.ends()
	for _, topic := range topics {
		for p := range int32(partitions) {
			r.partition(ctx, t, c, part{topic, p}, ends[part{topic, p}])
		}
	}
	return r
}

// ends are the offsets behind the last acknowledged records.
func (j *journal) ends() map[part]int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	ends := map[part]int64{}
	for where := range j.values {
		ends[where.part] = max(ends[where.part], where.offset+1)
	}
	return ends
}

// partition reads one partition up to its end, and at least to end.
func (r *readback) partition(ctx context.Context, t *testing.T, c *kgo.Client, p part, end int64) {
	t.Helper()
	for next := int64(0); ; {
		got, err := fetch(ctx, c, p, next)
		if err != nil {
			t.Fatalf("fetch %v: %v", at{p, next}, err)
		}
		for _, rec := range got.Records {
			if rec.Offset < next { // a batch is served whole
				continue
			}
			if rec.Offset != next {
				r.faults = append(r.faults, fmt.Errorf("%v came, want offset %d", at{p, rec.Offset}, next))
			}
			if err := whole(rec.Value); err != nil {
				r.faults = append(r.faults, fmt.Errorf("%v is torn: %w", at{p, rec.Offset}, err))
			}
			r.found[at{p, rec.Offset}] = crc32.ChecksumIEEE(rec.Value)
			next = rec.Offset + 1
		}
		switch {
		case len(got.Records) > 0:
		case (got.Err == nil || errors.Is(got.Err, kerr.OffsetOutOfRange)) && r.refused[at{p, next - 1}] != nil:
			// The damage reaches to the end of the log: how many offsets that is cannot be told any more.
			for ; next < end; next++ {
				r.refused[at{p, next}] = r.refused[at{p, next - 1}]
			}
			return
		case got.Err == nil || errors.Is(got.Err, kerr.OffsetOutOfRange):
			return // the end; what the journal has beyond it is lost
		case next >= max(end, got.HighWatermark):
			return
		default:
			r.refused[at{p, next}] = got.Err
			next++
		}
	}
}

// fetch asks once for what stands at an offset, and does not wait for more.
func fetch(ctx context.Context, c *kgo.Client, p part, from int64) (kgo.FetchPartition, error) {
	answer, err := fetchOnce(ctx, c, p, from)
	if err != nil {
		return kgo.FetchPartition{}, err
	}
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: p.topic, Partition: p.partition},
		answer, kgo.DefaultDecompressor(), nil)
	return got, nil
}

// fetchOnce is what the member answers to a fetch.
func fetchOnce(
	ctx context.Context, c *kgo.Client, p part, from int64,
) (*kmsg.FetchResponseTopicPartition, error) {
	q := kmsg.NewFetchRequest()
	q.MaxBytes = 8 << 20
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.partition, from, 4<<20
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.Partitions = p.topic, append(rt.Partitions, rp)
	q.Topics = append(q.Topics, rt)
	resp, err := c.Broker(memberID).RetriableRequest(ctx, &q)
	if err != nil {
		return nil, err
	}
	answer := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return nil, err
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("an answer about %d topics", len(answer.Topics))
	}
	return &answer.Topics[0].Partitions[0], nil
}

// check reads everything back and returns what does not agree with the journal. Refused records count too.
func check(t *testing.T, address string, acked *journal) []error {
	t.Helper()
	acked = acked.sofar()
	r := readAll(t, address, acked)
	faults := append(r.faults, acked.compare(r)...)
	for where, err := range r.refused {
		faults = append(faults, fmt.Errorf("%v is refused: %w", where, err))
	}
	return faults
}

// mustAgree fails the test where the log is not what was acknowledged.
func mustAgree(t *testing.T, address string, acked *journal, when string, args ...any) {
	t.Helper()
	if faults := check(t, address, acked); len(faults) > 0 {
		t.Fatalf("%s: %d faults (seed %d), the first ones %v", fmt.Sprintf(when, args...), len(faults), *seed,
			faults[:min(5, len(faults))])
	}
}

// topicNames are the topics that the member knows.
func topicNames(t *testing.T, address string) []string {
	t.Helper()
	c := connect(t, address)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	got, err := kadm.NewClient(c).ListTopics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return got.Names()
}
