package topology_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// play runs a scenario on whole tasks. disturb is called before each record with its number.
func (s scenario) play(
	t *testing.T, disturb func(d *topologytest.Driver, i int),
) (got, want result) {
	t.Helper()
	b := topology.NewBuilder("app")
	ls, rs := topology.From(b, payments), topology.From(b, numbers)
	batch := s.l
	for _, f := range s.front {
		ls, batch = f.apply(ls), f.batch(batch)
	}
	s.end.apply(ls, rs, maxDisorder*ms)
	rs.ForEach(func(string, int64) {})
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(s.partitions))
	l, r := s.l, s.r
	for i, left := range merged(l, r) {
		disturb(d, i)
		if left {
			put(d, payments, l[0])
			l = l[1:]
		} else {
			put(d, numbers, r[0])
			r = r[1:]
		}
		// Tasks with several inputs take what is there in the order of time.
		d.Advance(time.Millisecond)
	}
	d.CrashAfter(0)
	if slices.Contains(lasting, s.end.name) {
		d.Advance(time.Second)
		closeWindows(d, topo, s.partitions)
	}
	d.Advance(10 * time.Second)
	got = result{}
	for _, r := range topologytest.Read(d, finals) {
		if delete(got, r.Key); !r.NullValue {
			got[r.Key] = r.Value
		}
	}
	return got, s.end.batch(batch, s.r)
}

func put(d *topologytest.Driver, t topology.Topic[string, int64], f fact) {
	topologytest.SendRecord(d, t, topology.Record[string, int64]{
		Key: f.key, Value: f.v, NullValue: f.null, Meta: topology.Meta{Time: time.UnixMilli(f.ms)},
	})
}

// Goal: whole tasks give what the batch evaluator does, over graceful restarts. Method: scenarios of
// TestBatch.
func TestBatchOnTasks(t *testing.T) {
	for seed := range 300 {
		s := scenarios.Example(seed)
		got, want := s.play(t, func(d *topologytest.Driver, i int) {
			if i == s.restart {
				d.Stop()
				d.Restart()
			}
		})
		if !maps.Equal(got, want) {
			t.Fatalf("seed %d: %s behind %s, %s:\ngot      %v\nexpected %v",
				seed, s.end.name, s.front[0].name, s.front[1].name, got, want)
		}
	}
}

// What becomes of a final table when records are taken again:
//   - steady: nothing, as with a maximum that is taken twice.
//   - newer: nothing, as long as all records of a key come from one partition. Those of two are repeated
//     one after the other, so that an older row may come last.
//   - growing: numbers grow, and no key is added.
//   - widening: numbers grow, and keys are added. A count that is too high comes out as another number,
//     though every number up to it has come out; a left record that is repeated when its partner is gone
//     comes out alone, too.
//
// The others are not here, because they may end in any way: what is repeated finds a newer row to join, and
// a change that is repeated from a newer row on is not the change that it was.
var (
	steady  = []string{"aggregate", "aggregateWindowed"}
	newer   = []string{"joinTables", "innerJoinTables", "leftJoinTables"}
	growing = []string{
		"count", "reduce", "groupBy", "tumbling", "hopping", "finalWindows", "joinStream",
	}
	widening = []string{"countTwice", "leftJoinStream"}
)

// Goal: crashes repeat work and lose none. Method: scenarios with crashes at random events, some of which
// also lose the disk; final tables are what the batch evaluator gets, or differ as theirs may.
func TestBatchWithCrashes(t *testing.T) {
	more := 0
	for seed := range 300 {
		s := scenarios.Example(seed)
		grows, widens := slices.Contains(growing, s.end.name), slices.Contains(widening, s.end.name)
		same := slices.Contains(steady, s.end.name) ||
			slices.Contains(newer, s.end.name) && (s.partitions == 1 || !s.rekeyed())
		if !grows && !widens && !same {
			continue
		}
		got, want := s.play(t, func(d *topologytest.Driver, i int) {
			if i%7 == s.restart%7 {
				d.CrashAfter(1 + (seed+i)%23)
			}
			if (seed+i)%29 == 0 {
				d.LoseState()
			}
		})
		if maps.Equal(got, want) {
			continue
		}
		if more++; same || !atLeast(got, want) || grows && len(got) != len(want) {
			t.Fatalf("seed %d: %s behind %s, %s:\ngot      %v\nexpected %v",
				seed, s.end.name, s.front[0].name, s.front[1].name, got, want)
		}
	}
	if more == 0 {
		t.Error("no crash has repeated anything")
	}
}

// Goal: a result that is given out once, when its window is over, outlives a crash at any moment. Method:
// one crash after each number of events in turn, and snapshots at every record; every window and every left
// record without a partner must be there.
func TestFinalResultsOutliveCrashes(t *testing.T) {
	for _, e := range endings {
		if !slices.Contains(lasting, e.name) {
			continue
		}
		s := scenario{end: e, front: []stage{stages2[0], stages2[0]}, partitions: 1}
		for i := range int64(10) {
			s.l = append(s.l, fact{key: keyNames[i%3], v: i, ms: 100 + 20*i})
			s.r = append(s.r, fact{key: keyNames[i%2], v: i, ms: 110 + 20*i})
		}
		for n := 1; n < 250; n++ {
			got, want := s.play(t, func(d *topologytest.Driver, i int) {
				d.Advance(task.DefaultCommitInterval)
				if i == 0 {
					d.CrashAfter(n)
				}
			})
			if !atLeast(got, want) || len(got) != len(want) {
				t.Fatalf("%s, crash after %d events:\ngot      %v\nexpected %v", e.name, n, got, want)
			}
		}
	}
}

// rekeyed reports whether a stage changes keys.
func (s scenario) rekeyed() bool {
	return slices.ContainsFunc(s.front, func(f stage) bool { return f.name == "selectKey" })
}

// atLeast reports whether got has every key, with a number that is at least as high.
func atLeast(got, want result) bool {
	for k, v := range want {
		g, err1 := strconv.ParseInt(got[k], 10, 64)
		w, err2 := strconv.ParseInt(v, 10, 64)
		if err1 != nil || err2 != nil || g < w {
			return false
		}
	}
	return true
}
