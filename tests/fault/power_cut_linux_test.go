package fault

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/tests/harness"
)

// smallBuckets makes the log begin a new bucket every megabyte.
var smallBuckets = []string{"--storage-bucket-bytes", fmt.Sprint(1 << 20)}

// Goal: a power cut loses and tears nothing that was acknowledged, whatever the member was doing. Method: the
// mixed load on an ext4 of its own, with buckets so small that they are rolled, removed and rewritten all the time;
// topics are made meanwhile; the power is cut at any moment, or in the middle of a rewrite or a roll; then
// everything is read back. All rounds share one log.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	v := newExt4(t, 4<<30)
	r := newRounds(t, v.data())
	r.run(*cuts, "power cut", v.cutPower)
}

// Goal: a killed process loses and tears nothing that was acknowledged either, and so more moments can be tried.
// Method: as TestPowerCut, on any file system.
func TestKillWhileAllGoesOn(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the member is a process of its own")
	}
	r := newRounds(t, filepath.Join(work(t), "data"))
	r.run(*kills, "kill", (*harness.Server).Kill)
}

// rounds are a log that goes through one fault after the other.
type rounds struct {
	t      *testing.T
	data   string
	rng    *rand.Rand
	ledger *ledger
	work   activity // of all lives
	hit    map[string]int
}

func newRounds(t *testing.T, data string) *rounds {
	return &rounds{
		t: t, data: data, rng: rand.New(rand.NewPCG(*seed, 1)), ledger: newLedger(), work: activity{},
		hit: map[string]int{},
	}
}

// run lets the fault hit n times.
func (r *rounds) run(n int, name string, fault func(*harness.Server)) {
	t := r.t
	s := harness.StartServer(t, r.data, smallBuckets...)
	defer func() {
		if t.Failed() {
			t.Logf("what the last member had to say:\n%s", s.Log())
		}
	}()
	createMixed(t, s.Kafka())
	for round := range n {
		l := startMixed(t, s, rand.New(rand.NewPCG(*seed, uint64(round))), r.ledger)
		extra := fmt.Sprintf("made-in-round-%d", round)
		create(t, s.Kafka(), extra)
		moment := r.awaitMoment(round, l)
		fault(s)
		l.stop()
		r.work.add(l.done())
		r.hit[moment]++
		when := fmt.Sprintf("%s %d, %s", name, round, moment)
		if r.rng.IntN(2) == 0 { // who opens the log first puts its end in order: the member and doctor take turns
			inspect(t, r.data)
		}
		s = harness.StartServer(t, r.data, smallBuckets...)
		if faults := checkMixed(t, s.Kafka(), r.ledger); len(faults) > 0 {
			again := checkMixed(t, s.Kafka(), r.ledger)
			t.Fatalf("%s: %d faults (seed %d), then %d, the first ones %v", when, len(faults), *seed, len(again),
				faults[:min(5, len(faults))])
		}
		if got := topicNames(t, s.Kafka()); len(got) != len(shapes)+round+1 {
			t.Fatalf("%s: %s was acknowledged, the topics are %v", when, extra, got)
		}
		if t.Failed() {
			t.Fatalf("%s (seed %d): see above", when, *seed)
		}
	}
	r.settle(s)
	t.Logf("seed %d: %d times %s, %v; %d acknowledged records; %v", *seed, n, name, r.hit, r.ledger.len(), r.work)
}

// awaitMoment waits for the moment at which a fault hits, and names it.
func (r *rounds) awaitMoment(round int, l *mixedLoad) string {
	r.t.Helper()
	fresh := func(class string, rewritten bool) func() bool {
		known := bucketsOf(r.data, class)
		return func() bool {
			return slices.ContainsFunc(bucketsOf(r.data, class), func(name string) bool {
				return !slices.Contains(known, name) && strings.HasSuffix(name, ".0") != rewritten
			})
		}
	}
	l.awaitMore(r.t, 50+r.rng.IntN(400))
	moments := []struct {
		name string
		come func() bool
	}{
		{"at any moment", func() bool { return true }},
		{"in a rewrite of class compact", fresh("compact", true)},
		{"in a rewrite of class short", fresh("short", true)},
		{"in a roll of class long", fresh("long", false)},
		{"in a roll of class compact", fresh("compact", false)},
	}
	m := moments[round%len(moments)]
	harness.Await(r.t, limit, m.come, "a moment %s", m.name)
	<-time.After(time.Duration(r.rng.IntN(20)) * time.Millisecond) // a random moment of it
	return m.name
}

// settle lets the last load go on until the member has done each of its works at least once in the run: without
// them it says nothing. Then it stops the member and looks at the log once more.
func (r *rounds) settle(s *harness.Server) {
	r.t.Helper()
	l := startMixed(r.t, s, rand.New(rand.NewPCG(*seed, 99)), r.ledger)
	harness.Await(r.t, limit, func() bool {
		all := maps.Clone(r.work)
		all.add(l.done())
		return !slices.ContainsFunc(works, func(what string) bool { return all[what] == 0 })
	}, "buckets removed and rewritten, and logs compacted")
	if err := l.failure(); err != nil {
		r.t.Errorf("a write ended with %v", err)
	}
	l.stop()
	r.work.add(l.done())
	mustAgreeMixed(r.t, s.Kafka(), r.ledger, "after the last one")
	s.Stop()
	inspect(r.t, r.data)
	for _, class := range []string{"long", "short", "compact"} {
		names := bucketsOf(r.data, class)
		last, _, _ := strings.Cut(filepath.Base(names[len(names)-1]), ".")
		sequence, err := strconv.Atoi(strings.TrimLeft(last, "0"))
		if err != nil || sequence < 3 {
			r.t.Errorf("class %s has not rolled: %v", class, names)
		}
		r.work["rolled "+class] = sequence
	}
}

// works are what a member must have done in a run.
var works = []string{"removed_buckets short", "rewritten_buckets short", "rewritten_buckets compact",
	"compactions keyed"}

// Goal: the checks of TestPowerCut find a member that acknowledges what is not on the disk. Method: the same,
// but strace answers every sync itself, and nothing reaches the disk; the checks must find it in one of a few tries.
func TestPowerCutWithoutSync(t *testing.T) {
	t.Parallel()
	needRoot(t, "strace")
	const tries = 3
	for try := range tries {
		v := newExt4(t, 1<<30)
		acked := newLedger()
		s := harness.StartServer(t, v.data(), smallBuckets...)
		createMixed(t, s.Kafka())
		inject(t, s, "retval=0")
		l := startMixed(t, s, rand.New(rand.NewPCG(*seed, uint64(try))), acked)
		acked.awaitMore(t, 300)
		v.cutPower(s)
		l.stop()
		s, err := harness.TryServer(t, v.data(), smallBuckets...)
		if err != nil {
			t.Logf("try %d: %d records acknowledged without a sync, then not even a start", try, acked.len())
			continue // that is found without the checks
		}
		faults := checkMixed(t, s.Kafka(), acked)
		t.Logf("try %d: %d records acknowledged without a sync, %d faults found, like %v", try, acked.len(), len(faults),
			faults[:min(2, len(faults))])
		s.Kill()
		if len(faults) > 0 {
			return
		}
	}
	t.Fatalf("the syncs were swallowed, and no acknowledged record was missed in %d tries", tries)
}

// Goal: readback and journal find a lost, a torn, a doubled and an exchanged record. Method: spoil either by
// hand.
func TestCompareFindsFaults(t *testing.T) {
	where := at{part{"small", 0}, 7}
	for name, c := range map[string]struct {
		found   map[at]uint32
		refused map[at]error
		twice   bool
		faults  int
	}{
		"same":      {found: map[at]uint32{where: 5}},
		"lost":      {faults: 1},
		"exchanged": {found: map[at]uint32{where: 6}, faults: 1},
		"refused":   {refused: map[at]error{where: os.ErrInvalid}},
		"twice":     {found: map[at]uint32{where: 5}, twice: true, faults: 1},
	} {
		var j journal
		j.add(where, 5)
		if c.twice {
			j.add(where, 5)
		}
		if got := j.compare(&readback{found: c.found, refused: c.refused}); len(got) != c.faults {
			t.Errorf("%s: %v", name, got)
		}
	}
	value := newValue(rand.New(rand.NewPCG(1, 1)), 100)
	if err := whole(value); err != nil {
		t.Error(err)
	}
	value[50] ^= 1
	if whole(value) == nil {
		t.Error("a flipped bit was not found")
	}
}
