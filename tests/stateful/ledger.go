package stateful

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/tests/harness"
)

// limit bounds every wait; it is generous, because the machine may be busy.
const limit = 2 * time.Minute

// The load: keys in turn, so many orders each time the clock ticks.
const (
	keys     = 20
	perTick  = 20
	tick     = 10 * time.Millisecond
	renaming = 50 // every so many orders a customer gets another name
)

// Ledger is what was sent and acknowledged.
type Ledger struct {
	mu          sync.Mutex
	sent, acked map[keyInRound]int
}

type keyInRound struct {
	key   string
	round int
}

// NewLedger is empty.
func NewLedger() *Ledger { return &Ledger{sent: map[keyInRound]int{}, acked: map[keyInRound]int{}} }

// Feed writes orders, and names of customers, until it is stopped. Each round has a number of its own,
// from 0 on.
func (l *Ledger) Feed(t testing.TB, address string, round int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := connect(t, address, kgo.AllowAutoTopicCreation(), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(500))
	var running sync.WaitGroup
	running.Go(func() {
		clock := time.NewTicker(tick)
		defer clock.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			if n%perTick == 0 {
				<-clock.C
			}
			l.order(ctx, c, round, n)
		}
	})
	return func() {
		cancel()
		running.Wait()
		c.Close()
	}
}

func (l *Ledger) order(ctx context.Context, c *kgo.Client, round, n int) {
	key := fmt.Sprintf("k%d", n%keys)
	if n%renaming == 0 {
		c.Produce(ctx, &kgo.Record{Topic: CustomersTopic, Key: []byte(key), Value: fmt.Append(nil, "name", n)}, nil)
	}
	l.mu.Lock()
	l.sent[keyInRound{key, round}]++
	l.mu.Unlock()
	r := &kgo.Record{Topic: OrdersTopic, Key: []byte(key), Value: []byte(orderOf(round, n/keys))}
	c.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err == nil {
			l.mu.Lock()
			l.acked[keyInRound{key, round}]++
			l.mu.Unlock()
		}
	})
}

// Acked is how many orders have been acknowledged.
func (l *Ledger) Acked() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, of := range l.acked {
		n += of
	}
	return n
}

// AwaitMore waits for n more acknowledgements.
func (l *Ledger) AwaitMore(t testing.TB, n int) {
	t.Helper()
	begin := l.Acked()
	harness.Await(t, limit, func() bool { return l.Acked() >= begin+n }, "%d more acknowledged orders", n)
}

// Judge compares what the application has counted with what was acknowledged: nothing is missing, nothing was
// passed over, and nothing was counted that nobody sent.
func (l *Ledger) Judge(counted map[string]Progress) (faults []error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for of, sent := range l.sent {
		p, acked := counted["counter of "+of.key], l.acked[of]
		if n := p.of(of.round); n < acked || n > sent || p.Gaps > 0 {
			faults = append(faults, fmt.Errorf("%s in round %d: %d orders sent, %d acknowledged, counted %d, %d gaps", of.key,
				of.round, sent, acked, n, p.Gaps))
		}
	}
	return faults
}

// AwaitCounted reads what the application writes out until every acknowledged order is counted, and returns the
// last count of each key.
func (l *Ledger) AwaitCounted(t testing.TB, address string) map[string]Progress {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := connect(t, address, kgo.ConsumeTopics(ProgressTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	counted := map[string]Progress{}
	for {
		faults := l.Judge(counted)
		if len(faults) == 0 {
			return counted
		}
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("%v, and %d keys are not counted: %v", err, len(faults), faults[0])
		}
		for _, r := range f.Records() {
			p, err := serde.JSON[Progress]().Decode(r.Value, serde.Info{})
			if err != nil {
				t.Fatal(err)
			}
			counted[string(r.Key)] = p
		}
	}
}

// Repeated is how many orders were counted again.
func Repeated(counted map[string]Progress) (n int) {
	for _, p := range counted {
		n += p.Repeated
	}
	return n
}

func connect(t testing.TB, address string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
