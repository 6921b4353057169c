package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cmd/examples/texts"
	"github.com/millstream-io/millstream/topology"
)

const (
	demoFastRate = 2000 // lines a second while the book is read for the first time
	demoSlowRate = 20   // and from then on, so that there is always something to watch
	demoSamples  = 8    // lines that are shown one by one
)

var (
	demoInput  = topology.NewTopic[string, string]("text-input", nil, nil)
	demoOutput = topology.NewTopic[string, string]("text-output", nil, nil)
)

// demoTopology keeps the lines that contain an "a" and writes them in capitals.
func demoTopology() (*topology.Topology, error) {
	b := topology.NewBuilder("text-transformer")
	lines := topology.From(b, demoInput, topology.FromEarliest())
	kept := lines.Filter(func(_, line string) bool { return strings.Contains(line, "a") })
	topology.MapValues(kept, strings.ToUpper).To(demoOutput)
	return b.Build()
}

// demoRun is a running demonstration: a client that feeds lines, the topology inside the member, and a client
// that reads what comes out, both through the Kafka door.
type demoRun struct {
	shell *shell
	cl    *kgo.Client

	mu      sync.Mutex
	in      int64
	out     int64
	waiting []string        // the first lines, until what became of them is known
	noted   int             // how many have been put there
	lags    []time.Duration // line in → line out, the last few
	err     error           // the first refusal
}

// demo runs until the context ends or something breaks.
func (s *shell) demo(ctx context.Context, m *cluster.Member) error {
	topo, err := demoTopology()
	if err != nil {
		return fmt.Errorf("build the topology: %w", err)
	}
	d := &demoRun{shell: s}
	if err := d.connect(ctx, m.KafkaAddr()); err != nil {
		return err
	}
	defer d.cl.Close()
	s.notef("The topology text-transformer keeps the lines with an \"a\" and writes them in capitals:")
	s.notef("  text-input → filter → map → text-output\nIt reads %q.\n", texts.SherlockTitle)
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	start := func(part func(context.Context) error) {
		parts.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				d.fail(err)
				stop()
			}
		})
	}
	start(func(ctx context.Context) error { return m.Run(ctx, topo) })
	start(d.feed)
	start(d.watch)
	d.narrate(ctx, m.KafkaAddr())
	stop()
	parts.Wait()
	return d.refusal()
}

// connect makes the topics and the client, which reads text-output from where it ends now.
func (d *demoRun) connect(ctx context.Context, addr string) error {
	cl, err := d.shell.dial(ctx, addr,
		kgo.ProducerLinger(5*time.Millisecond), kgo.FetchMaxWait(250*time.Millisecond))
	if err != nil {
		return err
	}
	ad := kadm.NewClient(cl)
	for _, name := range []string{demoInput.Name, demoOutput.Name} {
		if r, err := ad.CreateTopic(ctx, 1, 1, nil, name); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			cl.Close()
			return refused(fmt.Sprintf("topic %q was not created", name), err, r.ErrMessage)
		}
	}
	_, ends, err := bounds(ctx, ad, demoOutput.Name)
	if err != nil {
		cl.Close()
		return err
	}
	from := kgo.NewOffset().At(ends[demoOutput.Name][0].Offset)
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{demoOutput.Name: {0: from}})
	d.cl = cl
	return nil
}

// feed reads the book to the topic: once quickly, then again and again at leisure.
func (d *demoRun) feed(ctx context.Context) error {
	rate := demoFastRate
	for {
		begin, n := time.Now(), 0
		for line := range texts.Sherlock() {
			due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
			if wait := time.Until(due); wait > 5*time.Millisecond && !waitOr(ctx, wait) {
				return nil
			}
			n++
			d.note(line)
			d.cl.Produce(ctx, &kgo.Record{Topic: demoInput.Name, Value: []byte(line)}, d.acknowledged)
		}
		if ctx.Err() != nil {
			return nil
		}
		rate = demoSlowRate
	}
}

func (d *demoRun) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noted < demoSamples {
		d.noted++
		d.waiting = append(d.waiting, line)
	}
}

// acknowledged counts a line that is on disk.
func (d *demoRun) acknowledged(_ *kgo.Record, err error) {
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			d.fail(err)
		}
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in++
}

// watch reads what comes out.
func (d *demoRun) watch(ctx context.Context) error {
	for {
		fetches := d.cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetchFailure(fetches); err != nil {
			return err
		}
		now := time.Now()
		d.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { d.arrived(r, now) })
		d.mu.Unlock()
	}
}

// arrived counts a line, and shows the first ones beside what went in. The caller holds the lock.
func (d *demoRun) arrived(r *kgo.Record, now time.Time) {
	d.out++
	d.lags = append(d.lags, now.Sub(r.Timestamp))
	if len(d.lags) > 512 {
		d.lags = append(d.lags[:0], d.lags[256:]...)
	}
	at := slices.IndexFunc(d.waiting, func(line string) bool { return strings.ToUpper(line) == string(r.Value) })
	if at < 0 {
		return
	}
	for _, dropped := range d.waiting[:at] {
		d.shell.notef("  in   %s\n       no \"a\": dropped", dropped)
	}
	d.shell.notef("  in   %s\n  out  %s", d.waiting[at], r.Value)
	d.waiting = d.waiting[at+1:]
}

// narrate prints the counts, often at first, and says what to type.
func (d *demoRun) narrate(ctx context.Context, addr string) {
	begin, pause := time.Now(), time.Second
	live := isTerminal(d.shell.Stderr)
	told := false
	for waitOr(ctx, pause) {
		took := time.Since(begin)
		line := d.status(took)
		switch {
		case live && told:
			fmt.Fprintf(d.shell.Stderr, "\r%s\x1b[K", line)
		default:
			d.shell.notef("%s", line)
		}
		if took > 3*time.Second && !told {
			told = true
			d.shell.notef("")
			d.shell.suggest(addr, "It goes on. Try in another terminal:",
				"millstream consume text-output -o -5        # the last lines, and what comes",
				"millstream produce text-input               # your own lines; look at text-output",
				"millstream topic ls",
				"kcat -C -b "+defaultBrokers+" -t text-output -e -q | head       # your old tools just work")
			d.shell.notef("")
		}
		if !live && told {
			pause = min(2*pause, time.Minute)
		}
	}
}

// status is one line of counts.
func (d *demoRun) status(took time.Duration) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := fmt.Sprintf("  %4.0f s  %6d lines in, on disk   %6d lines out", took.Seconds(), d.in, d.out)
	if n := len(d.lags); n > 0 {
		lags := slices.Clone(d.lags)
		slices.Sort(lags)
		line += fmt.Sprintf("   line in → line out %.0f ms (median of the last %d)", lags[n/2].Seconds()*1000, n)
	}
	return line
}

func (d *demoRun) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
}

func (d *demoRun) refusal() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		return nil
	}
	return refused("the demonstration stopped", d.err, "")
}
