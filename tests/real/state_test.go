package real

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/millstream-io/millstream/tests/stateful"
)

// wounds are what happens to the rows on disk between a kill and the next start.
var wounds = []struct {
	name string
	hit  func(t *testing.T, dir string, rng *rand.Rand)
}{
	{"nothing", func(*testing.T, string, *rand.Rand) {}},
	{"deleted", func(t *testing.T, dir string, _ *rand.Rand) {
		if err := os.RemoveAll(stateful.StateDir(dir)); err != nil {
			t.Fatal(err)
		}
	}},
	{"flipped bits", func(t *testing.T, dir string, rng *rand.Rand) { stateful.FlipBytes(t, dir, rng) }},
	{"another boot", func(t *testing.T, dir string, _ *rand.Rand) { stateful.OtherBoot(t, dir) }},
}

// Goal: whatever kills the process, and whatever becomes of the rows on disk then, no acknowledged input is lost,
// and the rows are the replay of the changelogs. Method: a member with a table, a join, windows and a count in a
// child process, killed with -9 at random times under load; between lives the rows are left alone, deleted, damaged,
// or of another boot. What each kill left is compared with the changelogs up to its marks, what the last stop left
// with all of them.
func TestStateUnderKill(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(13, uint64(*kills)))
	l := stateful.NewLedger()
	s := stateful.Start(t, dir)
	rows := 0
	for round := range *kills {
		stop := l.Feed(t, s.Kafka(), 2*round)
		l.AwaitMore(t, 400)
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(rng.IntN(300))*time.Millisecond, func() { s.Kill(); close(killed) })
		<-killed
		stop()
		left := stateful.Left(t, dir)
		wound := wounds[round%len(wounds)]
		wound.hit(t, dir, rng)
		s = stateful.Start(t, dir)
		if faults := stateful.Compare(left, stateful.Changelogs(t, s.Kafka()), false); len(faults) > 0 {
			t.Fatalf("kill %d: %d rows are not those of the changelogs, the first ones %v", round, len(faults),
				faults[:min(5, len(faults))])
		}
		for _, db := range left {
			rows += len(db.Rows)
		}
		stop = l.Feed(t, s.Kafka(), 2*round+1) // the next kill hits what this wound has healed to
		l.AwaitMore(t, 50)
		stop()
		counted := l.AwaitCounted(t, s.Kafka())
		t.Logf("kill %d, rows then: %s; %d orders acknowledged, all counted, %d again", round, wound.name, l.Acked(),
			stateful.Repeated(counted))
	}
	stateful.AwaitCaughtUp(t, s)
	s.Stop()
	left := stateful.Left(t, dir)
	idle := stateful.StartIdle(t, dir)
	faults := stateful.Compare(left, stateful.Changelogs(t, idle.Kafka()), true)
	faults = append(faults, l.Judge(stateful.Counted(t, left))...)
	if len(faults) > 0 {
		t.Fatalf("after a stop: %d faults, the first ones %v\n%s", len(faults), faults[:min(5, len(faults))], s.Log())
	}
	if rows == 0 {
		t.Fatal("no kill left a row to compare")
	}
	idle.Stop()
}

// Goal: the checks find a changelog that lacks what a store has, a row that is another one, a row too many and too
// few, a mark beyond the end, and an input that was not counted. Method: spoil what a run without a fault has left.
func TestStateCheckerFindsFaults(t *testing.T) {
	dir := t.TempDir()
	l := stateful.NewLedger()
	s := stateful.Start(t, dir)
	stop := l.Feed(t, s.Kafka(), 0)
	l.AwaitMore(t, 400)
	stop()
	counted := l.AwaitCounted(t, s.Kafka())
	if n := stateful.Repeated(counted); n > 0 {
		t.Errorf("nothing happened, and %d orders were counted again", n)
	}
	s.Stop()
	idle := stateful.StartIdle(t, dir)
	logs := func() map[string]*stateful.Changelog { return stateful.Changelogs(t, idle.Kafka()) }
	left := func() []stateful.Database { return stateful.Left(t, dir) }
	if faults := stateful.Compare(left(), logs(), true); len(faults) > 0 {
		t.Fatalf("nothing happened, but %v", faults)
	}
	for name, spoil := range map[string]func([]stateful.Database, map[string]*stateful.Changelog){
		"changelog records that were acknowledged and dropped": func(_ []stateful.Database, logs map[string]*stateful.Changelog) {
			for _, c := range logs {
				c.Records = c.Records[:len(c.Records)*9/10]
			}
		},
		"another value": func(dbs []stateful.Database, _ map[string]*stateful.Changelog) {
			for key := range dbs[0].Rows {
				dbs[0].Rows[key] = []byte("not this")
				return
			}
		},
		"a row too many": func(dbs []stateful.Database, _ map[string]*stateful.Changelog) {
			dbs[0].Rows["\x00\x00none"] = []byte("x")
		},
		"a row too few": func(dbs []stateful.Database, _ map[string]*stateful.Changelog) {
			for key := range dbs[0].Rows {
				delete(dbs[0].Rows, key)
				return
			}
		},
		"a mark beyond the end": func(dbs []stateful.Database, _ map[string]*stateful.Changelog) {
			dbs[0].Mark.Stores[0].ChangelogNext += 1_000_000
		},
	} {
		dbs, c := left(), logs()
		spoil(dbs, c)
		if faults := stateful.Compare(dbs, c, true); len(faults) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	for key := range counted {
		p := counted[key]
		p.Seen = nil
		counted[key] = p
		break
	}
	if faults := l.Judge(counted); len(faults) != 1 {
		t.Errorf("an order that was not counted: %v", faults)
	}
	idle.Stop()
}
