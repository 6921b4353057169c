package query

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/millstream-io/millstream/benchmarks/nexmark/event"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// output is how a query's records are read.
type output struct {
	read  func(d *topologytest.Driver) []line
	table bool // the last record of each key counts

	// repeats says whether a table may hold got in the place of want when some records were taken twice. nil:
	// taking them twice changes nothing.
	repeats func(got, want any) bool
}

func reading[K, V any](t topology.Topic[K, V]) func(d *topologytest.Driver) []line {
	return func(d *topologytest.Driver) (lines []line) {
		for _, r := range topologytest.Read(d, t) {
			lines = append(lines, line{r.Key, r.Value})
		}
		return lines
	}
}

var outputs = map[string]output{
	"q0": {read: reading(OutQ0)}, "q1": {read: reading(OutQ1)}, "q2": {read: reading(OutQ2)},
	"q14": {read: reading(OutQ14)}, "q20": {read: reading(OutQ20)}, "q21": {read: reading(OutQ21)},
	"q22": {read: reading(OutQ22)},
	"q5": {read: reading(OutQ5), table: true, repeats: func(got, want any) bool {
		return got.(Hottest).Bids >= want.(Hottest).Bids
	}},
	"q7": {read: reading(OutQ7), table: true},
	"q17": {read: reading(OutQ17), table: true, repeats: func(got, want any) bool {
		g, w := got.(Statistic), want.(Statistic)
		return g.Least == w.Least && g.Most == w.Most && g.Sum >= w.Sum && g.Bids >= w.Bids &&
			g.Low >= w.Low && g.Middle >= w.Middle && g.High >= w.High
	}},
	"q18": {read: reading(OutQ18), table: true},
}

// differs says how what a query wrote differs from what it should have written. With crashed records may be
// there more than once, and tables may hold what comes of that. exact says whether there is any difference
// at all.
func (o output) differs(got, want []line, crashed bool) (wrong error, exact bool) {
	if o.table {
		return o.tableDiffers(lastOf(got), lastOf(want), crashed)
	}
	left := map[line]int{}
	for _, l := range want {
		left[l]++
	}
	all := map[line]bool{}
	for l := range left {
		all[l] = true
	}
	exact = len(got) == len(want)
	for _, l := range got {
		if !all[l] {
			return fmt.Errorf("record %v was never expected", l), false
		}
		if left[l]--; left[l] < 0 && !crashed {
			return fmt.Errorf("record %v is there too often", l), false
		}
	}
	for l, n := range left {
		if n > 0 {
			return fmt.Errorf("record %v is missing", l), false
		}
	}
	return nil, exact
}

func lastOf(lines []line) map[any]any {
	table := map[any]any{}
	for _, l := range lines {
		table[l.key] = l.value
	}
	return table
}

func (o output) tableDiffers(got, want map[any]any, crashed bool) (wrong error, exact bool) {
	exact = true
	for k, w := range want {
		g, ok := got[k]
		switch {
		case !ok:
			return fmt.Errorf("row %v is missing", k), false
		case reflect.DeepEqual(g, w):
		case crashed && o.repeats != nil && o.repeats(g, w):
			exact = false
		default:
			return fmt.Errorf("row %v is %v, expected %v", k, g, w), false
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d rows, expected %d", len(got), len(want)), false
	}
	return nil, exact
}

// world is one run: events, and how they are given to a query.
type world struct {
	events     []event.Event
	settings   Settings
	partitions int
	seed       uint64
	crashes    bool
}

const count = 4000

// newWorld makes events over 20 seconds around midnight. group is the disorder: with 1000 that are 5 seconds.
func newWorld(group int64) world {
	g := event.Defaults(42)
	g.Rate, g.Group, g.Base = 200, group, time.Date(2015, 7, 15, 23, 59, 50, 0, time.UTC)
	w := world{settings: Defaults(), partitions: 1, seed: 1}
	w.settings.Grace, w.settings.Apart = g.Disorder()+5*time.Second, time.Hour
	for n := range int64(count) {
		w.events = append(w.events, g.At(n))
	}
	return w
}

// run gives the events to a query in batches of random sizes, lets tasks crash in between if it is asked
// to, and returns what was written.
func (w world) run(t *testing.T, q Query) []line {
	t.Helper()
	topo, err := q.Build(w.settings)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(w.seed, 0))
	small := topologytest.Tune(func(c *task.Config) { c.MaxFetchBytes, c.BatchBytes = 4<<10, 2<<10 })
	d := topologytest.New(t, topo, topologytest.Partitions(w.partitions), small)
	for left := w.events; len(left) > 0; {
		n := min(1+rng.IntN(200), len(left))
		if w.crashes && rng.IntN(3) == 0 {
			d.CrashAfter(1 + rng.IntN(60))
		}
		if w.crashes && rng.IntN(20) == 0 {
			d.LoseState()
		}
		send(d, q, left[:n])
		d.Advance(time.Duration(rng.IntN(60)) * time.Millisecond)
		left = left[n:]
	}
	d.CrashAfter(0)
	if q.Name == "q5" { // windows give out their results when they are over: all of them are now
		for range w.partitions {
			over := topology.Record[int64, event.Bid]{NullKey: true, NullValue: true}
			over.Time = time.UnixMilli(w.events[0].TimeMs).Add(time.Hour)
			topologytest.SendRecord(d, Bids, over)
		}
	}
	d.Advance(time.Second)
	return outputs[q.Name].read(d)
}

func send(d *topologytest.Driver, q Query, events []event.Event) {
	var bids []topology.Record[int64, event.Bid]
	var auctions []topology.Record[int64, event.Auction]
	for _, ev := range events {
		switch at := (topology.Meta{Time: time.UnixMilli(ev.TimeMs)}); ev.Kind {
		case event.KindBid:
			bids = append(bids, topology.Record[int64, event.Bid]{Key: ev.Bid.Auction, Value: ev.Bid, Meta: at})
		case event.KindAuction:
			auctions = append(auctions,
				topology.Record[int64, event.Auction]{Key: ev.Auction.ID, Value: ev.Auction, Meta: at})
		}
	}
	if q.Auctions {
		topologytest.SendBatch(d, Auctions, auctions...)
	}
	topologytest.SendBatch(d, Bids, bids...)
}

// Goal: every query gives what an evaluator gets that sees all events at once; with disorder inside the
// grace, on one partition and on four. Method: each of the four on the same events; tables are compared by
// their last rows, the rest record by record.
func TestEquivalence(t *testing.T) {
	for _, group := range []int64{1, 1000} {
		w := newWorld(group)
		for _, q := range All {
			want := evaluators[q.Name](w.events, w.settings)
			for _, w.partitions = range []int{1, 4} {
				if err, _ := outputs[q.Name].differs(w.run(t, q), want, false); err != nil {
					t.Errorf("%s, group %d, %d partitions, seed %d: %v", q.Name, group, w.partitions, w.seed, err)
				}
			}
		}
	}
}

// Goal: crashes lose nothing, and what they repeat shows in the ways of at-least-once alone: q7 and q18
// give exactly the same tables, because taking a bid twice changes no maximum; q17 has the same rows, least
// and highest prices, and counts and sums that are at least as high; q5 has the same windows, and winners
// with at least as many bids; the others write every record at least once and no other. Method: as
// TestEquivalence, with tasks that crash between any two requests or answers, and lose their disks at
// times.
func TestEquivalenceWithCrashes(t *testing.T) {
	repeated := 0
	for _, group := range []int64{1, 1000} {
		w := newWorld(group)
		w.crashes = true
		for i, q := range All {
			want := evaluators[q.Name](w.events, w.settings)
			for _, w.partitions = range []int{1, 4} {
				w.seed = uint64(group) + uint64(100*i+w.partitions)
				err, exact := outputs[q.Name].differs(w.run(t, q), want, true)
				if err != nil {
					t.Errorf("%s, group %d, %d partitions, seed %d: %v", q.Name, group, w.partitions, w.seed, err)
				}
				if !exact {
					repeated++
				}
			}
		}
	}
	if repeated < len(All) {
		t.Errorf("only %d runs repeated anything", repeated)
	}
}

// Goal: the comparison sees what is missing and what is late. Method: the evaluators get every other
// event; and
// queries with windows run without a grace on events that come with disorder.
func TestEquivalenceControl(t *testing.T) {
	w := newWorld(1000)
	fewer := w
	fewer.events = nil
	for n, ev := range w.events {
		if n%2 == 0 {
			fewer.events = append(fewer.events, ev)
		}
	}
	for _, q := range All {
		want := evaluators[q.Name](fewer.events, w.settings)
		if err, _ := outputs[q.Name].differs(w.run(t, q), want, false); err == nil {
			t.Errorf("%s: nobody sees that bids are missing", q.Name)
		}
	}
	w.settings.Grace, w.settings.Apart = 0, time.Second
	for _, q := range All {
		if q.Name != "q5" && q.Name != "q20" {
			continue
		}
		want := evaluators[q.Name](w.events, w.settings)
		if err, _ := outputs[q.Name].differs(w.run(t, q), want, false); err == nil {
			t.Errorf("%s: nobody sees that bids are late", q.Name)
		}
	}
}
