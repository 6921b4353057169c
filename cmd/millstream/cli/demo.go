package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cmd/examples/texts"
	"github.com/millstream-io/millstream/proto/fault"
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

// demoRun is a running demonstration: a client that feeds lines and reads what comes out, and the topology between, all
// inside the member's process.
type demoRun struct {
	shell *shell
	cl    *client.Client
	from  *client.Consumer

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
	d.cl = m.NewClient(client.WithLinger(5 * time.Millisecond))
	defer d.cl.Close()
	d.from = d.cl.Consumer(client.WithMaxWait(250 * time.Millisecond))
	defer d.from.Close()
	if err := d.prepare(ctx); err != nil {
		return err
	}
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
	d.narrate(ctx, m)
	stop()
	parts.Wait()
	return d.refusal()
}

// prepare makes the topics, and has text-output read from where it ends now.
func (d *demoRun) prepare(ctx context.Context) error {
	for _, name := range []string{demoInput.Name, demoOutput.Name} {
		_, err := d.cl.CreateTopic(ctx, client.NewTopic{Name: name, Partitions: 1})
		if err != nil && !errors.Is(err, fault.TopicAlreadyExists) {
			return refused(fmt.Sprintf("topic %q was not created", name), err)
		}
	}
	if err := d.from.Assign(ctx, demoOutput.Name, client.FromLatest()); err != nil {
		return refused(fmt.Sprintf("topic %q cannot be read", demoOutput.Name), err)
	}
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
			d.cl.ProduceAsync(ctx, client.Record{Topic: demoInput.Name, Value: []byte(line)}, func(a client.Delivery) {
				d.acknowledged(ctx, a)
			})
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
func (d *demoRun) acknowledged(ctx context.Context, a client.Delivery) {
	if a.Err != nil {
		if ctx.Err() == nil {
			d.fail(a.Err)
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
		records, err := d.from.Poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return readFailure(ctx, err)
		}
		now := time.Now()
		d.mu.Lock()
		for i := range records {
			d.arrived(&records[i], now)
		}
		d.mu.Unlock()
	}
}

// arrived counts a line, and shows the first ones beside what went in. The caller holds the lock.
func (d *demoRun) arrived(r *client.Record, now time.Time) {
	d.out++
	d.lags = append(d.lags, now.Sub(time.UnixMilli(r.TimestampMs)))
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
func (d *demoRun) narrate(ctx context.Context, m *cluster.Member) {
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
			d.shell.suggest(m, "It goes on. Try in another terminal:",
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
	return refused("the demonstration stopped", d.err)
}
