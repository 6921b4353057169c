package real

import (
	"context"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
	"github.com/millstream-io/millstream/tests/stateful"
)

func TestMain(m *testing.M) {
	stateful.Child()
	if dir := os.Getenv(childDir); dir != "" {
		if err := runTransformer(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	code := m.Run()
	harness.Remove()
	os.Exit(code)
}

var kills = flag.Int("kills", 4, "how often the member is killed under load; a merge is tested with 20")

// limit bounds the waits of one round; it is generous, because the machine may be busy.
const limit = 2 * time.Minute

const (
	topic      = "load"
	partitions = 3
)

// Goal: kill -9 under synced load loses and tears nothing that was acknowledged, and offsets stay dense.
// Method: an idempotent producer writes checksummed values with acks=all; the process is killed at a random
// time and started again on the same directory; then everything is read back and compared with what was
// acknowledged. All rounds share one log.
func TestKillUnderLoad(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(7, uint64(*kills)))
	var acked journal
	s := harness.StartServer(t, dir, "--storage-bucket-bytes", "4194304")
	create(t, s.Kafka())
	for round := range *kills {
		stop := load(t, s.Kafka(), round, &acked)
		acked.awaitMore(t, 200)
		time.AfterFunc(time.Duration(rng.IntN(300))*time.Millisecond, s.Kill)
		acked.awaitQuiet(t, s)
		stop()
		s = harness.StartServer(t, dir, "--storage-bucket-bytes", "4194304")
		if faults := check(t, s.Kafka(), &acked); len(faults) > 0 {
			t.Fatalf("round %d: %d faults, the first ones %v", round, len(faults), faults[:min(5, len(faults))])
		}
	}
	t.Logf("%d acknowledged records in %d rounds, all there", acked.len(), *kills)
	s.Stop()
}

// Goal: the checker finds a lost, a torn and a doubled record. Method: give it a journal that says otherwise.
func TestCheckerFindsFaults(t *testing.T) {
	s := harness.StartServer(t, t.TempDir())
	create(t, s.Kafka())
	var acked journal
	stop := load(t, s.Kafka(), 0, &acked)
	acked.awaitMore(t, 50)
	stop()
	if faults := check(t, s.Kafka(), &acked); len(faults) > 0 {
		t.Fatalf("nothing happened, but %v", faults)
	}
	acked.add(at{0, 1 << 30}, 1)
	if faults := check(t, s.Kafka(), &acked); len(faults) != 1 {
		t.Fatalf("a record that was never written was not missed: %v", faults)
	}
	for where := range acked.values {
		acked.values[where]++
		break
	}
	if faults := check(t, s.Kafka(), &acked); len(faults) != 2 {
		t.Fatalf("another value than was acknowledged was not found: %v", faults)
	}
	s.Stop()
}

func create(t *testing.T, address string) {
	t.Helper()
	c := connect(t, address)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if _, err := kadm.NewClient(c).CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, address string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// load writes until it is stopped. What is acknowledged goes into the journal.
func load(t *testing.T, address string, round int, acked *journal) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := connect(t, address, kgo.DefaultProduceTopic(topic), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(2000), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	var running sync.WaitGroup
	running.Add(1)
	go func() {
		defer running.Done()
		for i := 0; ctx.Err() == nil; i++ {
			value := fmt.Appendf(nil, "%d/%d %0*d", round, i, i%900, i)
			value = fmt.Appendf(value, " %08x", crc32.ChecksumIEEE(value))
			c.Produce(ctx, &kgo.Record{Value: value}, func(r *kgo.Record, err error) {
				if err == nil {
					acked.add(at{r.Partition, r.Offset}, crc32.ChecksumIEEE(r.Value))
				}
			})
		}
	}()
	return func() {
		cancel()
		running.Wait()
		c.Close()
	}
}

// check reads the whole log and compares it with the journal.
func check(t *testing.T, address string, acked *journal) (faults []error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := connect(t, address, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	next := map[int32]int64{}
	found := map[at]uint32{}
	for left := total(ends); left > 0; {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("read back: %v", err)
		}
		for _, r := range f.Records() {
			left--
			if r.Offset != next[r.Partition] {
				faults = append(faults, fmt.Errorf("%d@%d came, want offset %d", r.Partition, r.Offset, next[r.Partition]))
			}
			next[r.Partition] = r.Offset + 1
			if err := whole(r.Value); err != nil {
				faults = append(faults, fmt.Errorf("%d@%d is torn: %w", r.Partition, r.Offset, err))
			}
			found[at{r.Partition, r.Offset}] = crc32.ChecksumIEEE(r.Value)
		}
	}
	return append(faults, acked.compare(found)...)
}

func total(ends kadm.ListedOffsets) (n int64) {
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

// whole verifies the checksum that ends every value.
func whole(value []byte) error {
	if len(value) < 9 {
		return fmt.Errorf("value of %d bytes", len(value))
	}
	body, sum := value[:len(value)-9], string(value[len(value)-8:])
	if want := fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)); sum != want {
		return fmt.Errorf("checksum %s, want %s", sum, want)
	}
	return nil
}
