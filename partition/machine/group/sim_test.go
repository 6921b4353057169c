package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

func part(p int) record.Partition  { return record.Partition(p) }
func offset(o int64) record.Offset { return record.Offset(o) }

// checker looks at a world from outside.
type checker struct {
	w          *world
	err        error
	generation int32                    // the highest that anybody owned something in
	owners     map[int32]map[int]string // by generation and partition
	positions  map[int]int64            // as committed in the log
	holders    map[string]*client       // who runs under an instance
	lookAt     time.Time
}

// Limits that a world must keep. The longest session and rebalance timeout of its clients are 20 and 15 s.
const (
	longestWait  = 45 * time.Second
	longestQuiet = 70 * time.Second
)

func (k *checker) fail(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("at %s, life %d: %s", k.w.now.Format("04:05.000"), k.w.life, fmt.Sprintf(format, args...))
	}
}

func (k *checker) came(c *client) {
	if k.holders == nil {
		k.holders = map[string]*client{}
	}
	if c.instance != "" {
		k.holders[c.instance] = c
	}
}

// owned notes what a member was given.
func (k *checker) owned(id string, generation int32, assignment []byte) {
	if generation < k.generation {
		k.fail("%s is given its part in generation %d, after somebody was in %d", id, generation, k.generation)
	}
	k.generation = max(k.generation, generation)
	in := k.owners[generation]
	if in == nil {
		in = map[int]string{}
		k.owners[generation] = in
	}
	for _, p := range partitionsOf(assignment) {
		if was, taken := in[p]; taken && was != id && k.instanceOf(was) != k.instanceOf(id) {
			k.fail("partition %d of generation %d belongs to %s and %s", p, generation, was, id)
		}
		in[p] = id
	}
}

// instanceOf is the instance that a member id was given to, or the id itself.
func (k *checker) instanceOf(id string) string {
	for _, c := range k.w.clients {
		if c.instance != "" && len(id) > len(c.instance) && id[:len(c.instance)] == c.instance {
			return c.instance
		}
	}
	return id
}

// landed follows the positions in the log.
func (k *checker) landed(e state.Entry) {
	rows, err := New().rows(e.Payload())
	must(err == nil, "rows: %v", err)
	for _, r := range rows {
		if r.ofGroup {
			continue
		}
		p := int(r.Partition)
		if int64(r.offset) < k.positions[p] {
			k.fail("position of partition %d goes back from %d to %d", p, k.positions[p], r.offset)
		}
		k.positions[p] = int64(r.offset)
	}
}

func (k *checker) waited(w *waiting) {
	if d := k.w.now.Sub(w.since); d > longestWait {
		k.fail("%s for %s", w.what, d)
	}
}

// look looks for who waits for ever, and for members that are not there any more.
func (k *checker) look() {
	if k.w.now.Before(k.lookAt) || k.w.down {
		return
	}
	k.lookAt = k.w.now.Add(5 * time.Second)
	for _, w := range k.w.waits {
		k.waited(w)
	}
	for _, m := range k.w.core.describe().Members {
		for _, c := range k.w.clients {
			quiet := k.w.now.Sub(later(c.goneAt, k.w.bootAt))
			if c.id == m.ID && c.gone && quiet > longestQuiet {
				k.fail("%s has been gone for %s and is still a member", c.name, quiet)
			}
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// settled checks a world that was left in peace: everybody who is there owns its part, and all have all.
func (k *checker) settled() {
	d := k.w.core.describe()
	alive, owned := 0, map[int]string{}
	for _, c := range k.w.clients {
		if c.gone {
			continue
		}
		alive++
		if c.generation != d.Generation || k.w.core.byID[c.id] == nil {
			k.fail("%s is in generation %d of %d as %q", c.name, c.generation, d.Generation, c.id)
		}
		for p := range c.owns {
			if other, taken := owned[p]; taken {
				k.fail("partition %d belongs to %s and %s", p, other, c.name)
			}
			owned[p] = c.name
		}
	}
	switch {
	case len(d.Members) != alive:
		k.fail("%d members, %d are there", len(d.Members), alive)
	case alive > 0 && (d.State != Stable || len(owned) != simPartitions):
		k.fail("%s with %d of %d partitions owned", d.State, len(owned), simPartitions)
	case alive == 0 && d.State != Empty:
		k.fail("%s without members", d.State)
	}
}

// chaos lets things happen to a world for a while.
func (w *world) chaos(steps int) {
	for range steps {
		w.run(w.between(0, 4*time.Second))
		if w.check.err != nil {
			return
		}
		alive := w.alive()
		switch n := w.rng.IntN(12); {
		case len(alive) == 0 || n < 3 && len(alive) < 8:
			instance := ""
			if w.rng.IntN(3) == 0 {
				instance = fmt.Sprintf("static-%c", 'a'+len(w.clients)%26)
			}
			w.newClient(instance)
		case n < 5:
			alive[w.rng.IntN(len(alive))].leave()
		case n < 7:
			c := alive[w.rng.IntN(len(alive))]
			c.quit()
			if c.instance != "" && w.rng.IntN(2) == 0 { // its process starts again
				w.after(w.between(0, 15*time.Second), func() { w.newClient(c.instance) })
			}
		case n < 9:
			alive[w.rng.IntN(len(alive))].pausedTill = w.now.Add(w.between(0, 30*time.Second))
		case n < 10:
			w.crash()
		}
	}
}

func (w *world) alive() (list []*client) {
	for _, c := range w.clients {
		if !c.gone {
			list = append(list, c)
		}
	}
	return list
}

func simulate(seed uint64, f faults) *checker {
	w := newWorld(seed, f)
	w.chaos(150)
	w.run(4 * time.Minute)
	if w.check.err == nil {
		w.check.settled()
	}
	if w.check.err == nil {
		for _, c := range w.alive() {
			c.leave()
		}
		w.run(2 * time.Minute)
		w.check.settled()
	}
	return w.check
}

// Goal: whatever members and coordinators do, each partition has one owner in a generation, generations and
// positions only grow, nobody waits for ever, the silent are expelled, and a group that is left in peace is
// whole. Method: random worlds, each from its seed.
func TestSimulation(t *testing.T) {
	seeds, generations, moved := uint64(100), int32(0), int64(0)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		k := simulate(seed, faults{})
		if k.err != nil {
			t.Fatalf("seed %d: %v", seed, k.err)
		}
		generations += k.generation
		for _, p := range k.positions {
			moved += p
		}
	}
	if uint64(generations) < 5*seeds || uint64(moved) < 100*seeds {
		t.Errorf("%d generations and %d commits in %d worlds: little was tested", generations, moved, seeds)
	}
	t.Logf("%d generations, %d commits", generations, moved)
}

// Goal: the checkers see what they are for. Method: worlds with one thing broken, each of which must fail
// soon.
func TestSimulationNegativeControls(t *testing.T) {
	for name, f := range map[string]faults{
		"deaf": {deaf: true}, "forgetful": {forgetful: true}, "eager": {eager: true},
	} {
		found := error(nil)
		for seed := uint64(0); seed < 40 && found == nil; seed++ {
			found = simulate(seed, f).err
		}
		if found == nil {
			t.Errorf("%s: nothing was noticed", name)
		}
		t.Logf("%s: %v", name, found)
	}
}
