package fault

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
)

// keptBytes is what the limited topic keeps of each partition at least.
const keptBytes = 512 << 10

// shape is what a topic of the mixed load is like.
type shape struct {
	config    map[string]string
	weight    int   // how many of the records go to it
	sizes     []int // of its values, in bytes
	keyed     bool  // its log is compacted
	cut       bool  // its records are deleted by request
	keepBytes int64
	burst     int // so many records come at once; 0 is one
}

// inShort puts a topic into the retention class of what does not live long; nothing gets so old in a test.
var inShort = map[string]string{"retention.ms": "3600000"}

// shapes are the topics of the mixed load. The classes roll by themselves: long keeps everything; in short all is
// given back of what is limited or cut, beside the few records of rare, which keep some of its buckets by
// little; compact is compacted.
var shapes = map[string]shape{
	"small":   {weight: 30, sizes: []int{40, 100}},
	"mixed":   {weight: 20, sizes: []int{100, 900, 20_000}},
	"large":   {weight: 5, sizes: []int{20_000, 60_000}},
	"limited": {weight: 30, sizes: []int{900, 20_000, 40_000}, keepBytes: keptBytes, config: inShort},
	"cut":     {weight: 30, sizes: []int{900, 20_000, 40_000}, cut: true, config: inShort},
	"rare":    {weight: 1, sizes: []int{100, 900}, config: inShort, burst: 5},
	"keyed": {weight: 80, sizes: []int{40, 900, 20_000}, keyed: true, config: map[string]string{
		"cleanup.policy": "compact", "min.compaction.lag.ms": "0", "min.cleanable.dirty.ratio": "0",
		"delete.retention.ms": "1",
	}},
}

// hotKeys is how many keys of a partition are written again and again; one record in coldEvery has a new one.
const (
	hotKeys   = 40
	coldEvery = 25
)

// createMixed makes the topics of the mixed load.
func createMixed(t *testing.T, address string) {
	t.Helper()
	c := connect(t, address)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for name, s := range shapes {
		config := map[string]*string{}
		for k, v := range s.config {
			config[k] = &v
		}
		config["retention.bytes"] = kadm.StringPtr("-1")
		if s.keepBytes > 0 {
			config["retention.bytes"] = kadm.StringPtr(fmt.Sprint(s.keepBytes))
		}
		if _, err := kadm.NewClient(c).CreateTopic(ctx, partitions, 1, config, name); err != nil {
			t.Fatalf("create %s: %v", name, err)
		}
	}
}

// mixedLoad writes to all shapes, deletes records, and has the member look after its logs all the time, until it is
// stopped.
type mixedLoad struct {
	*ledger
	stop func()

	mu   sync.Mutex
	err  error    // the first that reached the application while the load went on
	work activity // of the member, as far as it told
}

// startMixed begins it. All writes are acks=all and idempotent.
func startMixed(t *testing.T, s *harness.Server, rng *rand.Rand, l *ledger) *mixedLoad {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := connect(t, s.Kafka(), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(time.Millisecond),
		kgo.MaxBufferedRecords(300), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.MetadataMinAge(50*time.Millisecond))
	m := &mixedLoad{ledger: l, work: activity{}}
	admin := connect(t, s.Kafka())
	seed := rng.Uint64()
	var running sync.WaitGroup
	running.Go(func() { m.produce(ctx, c, rng) })
	running.Go(func() { m.tend(ctx, kadm.NewClient(admin), rand.New(rand.NewPCG(seed, 1))) })
	running.Go(func() { m.watch(ctx, s) })
	m.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		c.Close()
		admin.Close()
	})
	t.Cleanup(m.stop)
	return m
}

func (m *mixedLoad) produce(ctx context.Context, c *kgo.Client, rng *rand.Rand) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		names = append(names, slices.Repeat([]string{name}, shapes[name].weight)...)
	}
	for i := 0; ctx.Err() == nil; i++ {
		name := names[rng.IntN(len(names))]
		for range max(1, shapes[name].burst) {
			r := newRecord(rng, name, i)
			p, what := part{name, r.Partition}, copyOf(r.Key, r.Value)
			seq := m.send(p, what)
			c.Produce(ctx, r, func(r *kgo.Record, err error) {
				if err == nil {
					m.add(at{p, r.Offset}, seq, what)
				} else {
					m.fails(ctx, err)
				}
			})
		}
	}
}

// newRecord makes record i of a run. One in eight with a key deletes it.
func newRecord(rng *rand.Rand, topic string, i int) *kgo.Record {
	s := shapes[topic]
	r := &kgo.Record{
		Topic: topic, Partition: rng.Int32N(partitions), Value: newValue(rng, s.sizes[rng.IntN(len(s.sizes))]),
	}
	if s.keyed {
		r.Key = fmt.Appendf(nil, "key-%d", rng.IntN(hotKeys))
		if rng.IntN(coldEvery) == 0 {
			r.Key = fmt.Appendf(nil, "cold-%d-%d", i, rng.Uint32())
		}
		if rng.IntN(8) == 0 {
			r.Value = nil
		}
	}
	return r
}

func (m *mixedLoad) fails(ctx context.Context, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() == nil && m.err == nil {
		m.err = err
	}
}

// failure is the first error that was not taken care of by trying again.
func (m *mixedLoad) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// tendEvery is how often records are deleted and settings changed: a changed setting makes a member look after a
// log at once, which it does twice a minute otherwise.
const (
	tendEvery    = 100 * time.Millisecond
	compactEvery = 8
)

func (m *mixedLoad) tend(ctx context.Context, a *kadm.Client, rng *rand.Rand) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		set := func(topic, key string, value int) {
			s := fmt.Sprint(value)
			// Whether the member took it shows in what it does.
			_, _ = a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &s}}, topic)
		}
		if i%compactEvery == 0 { // a pass goes over a whole log
			set("keyed", "delete.retention.ms", 1+i/compactEvery%2)
		}
		set("limited", "retention.bytes", keptBytes+i%2)
		p := part{"cut", rng.Int32N(partitions)}
		m.deleteSome(ctx, a, p, rng)
	}
}

// deleteSome deletes a partition's records up to one of the newest.
func (m *mixedLoad) deleteSome(ctx context.Context, a *kadm.Client, p part, rng *rand.Rand) {
	to := m.end(p) - rng.Int64N(10)
	if to <= 0 {
		return
	}
	m.asks(p, to)
	var offsets kadm.Offsets
	offsets.AddOffset(p.topic, p.partition, to, -1)
	answers, err := a.DeleteRecords(ctx, offsets)
	if err != nil {
		return // a member that is just cut off
	}
	if answer, ok := answers.Lookup(p.topic, p.partition); ok && answer.Err == nil {
		m.reaches(p, answer.LowWatermark)
	}
}

// activity counts what a member does beside taking records: buckets removed and rewritten by class, passes of log
// compaction, groups written.
type activity map[string]int

// add takes in a later life.
func (a activity) add(b activity) {
	for k, n := range b {
		a[k] += n
	}
}

var counted = regexp.MustCompile(
	`^millstream_(engine_group_seconds_count|engine_removed_buckets_total|engine_rewritten_buckets_total|` +
		`partition_compactions_total)\{(.*)\} ([0-9.e+]+)$`)

// labelled finds the class of the store, or the topic.
var labelled = regexp.MustCompile(`(?:class|topic)="([^"]*)"`)

// metricsOf is what a member serves to be scraped.
func metricsOf(ctx context.Context, s *harness.Server) (string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP()+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// scrape reads a member's counters.
func scrape(ctx context.Context, s *harness.Server) (activity, error) {
	text, err := metricsOf(ctx, s)
	if err != nil {
		return nil, err
	}
	a := activity{}
	for line := range strings.Lines(text) {
		found := counted.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		of := labelled.FindStringSubmatch(found[2])
		n, err := strconv.ParseFloat(found[3], 64)
		if of == nil || err != nil {
			return nil, fmt.Errorf("a counter without a label or a number: %s", line)
		}
		_, what, _ := strings.Cut(strings.TrimSuffix(found[1], "_total"), "_")
		if n > 0 {
			a[what+" "+of[1]] += int(n)
		}
	}
	return a, nil
}

// watch keeps the member's counters: when it is killed they are gone.
func (m *mixedLoad) watch(ctx context.Context, s *harness.Server) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if a, err := scrape(ctx, s); err == nil {
			m.mu.Lock()
			m.work = a
			m.mu.Unlock()
		}
	}
}

// done is what the member has done so far, at least.
func (m *mixedLoad) done() activity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.work)
}

// bucketsOf are the names of a class's buckets.
func bucketsOf(data, class string) []string {
	names, err := filepath.Glob(filepath.Join(data, "log", class, "0*"))
	if err != nil {
		return nil
	}
	return names
}
