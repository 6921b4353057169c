package member

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// checker looks at a world from outside.
type checker struct {
	w         *world
	err       error
	believers map[client.TopicPartition]*simClient // who thinks that it has a partition
	bytes     map[client.TopicPartition][]piece
	given     int // partitions that were assigned
	read      int // records
}

// piece is what a fetch answered for a partition: it may be delivered.
type piece struct {
	from, next record.Offset
	bytes      int
}

func (k *checker) fail(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("at %s, life %d: %s", k.w.now.Format("04:05.000"), k.w.life, fmt.Sprintf(format, args...))
	}
}

// assigned checks that nobody who is awake has the partition, and that it begins where the last owner committed.
func (k *checker) assigned(c *simClient, p client.Position) {
	k.given++
	name := client.TopicPartition{Topic: p.Topic, Partition: p.Partition}
	if was := k.believers[name]; was != nil && was != c && !k.w.now.Before(was.pausedTill) &&
		(was.instance == "" || was.instance != c.instance) {
		k.fail("%v is given to %s while %s has it", name, c.name, was.name)
	}
	k.believers[name] = c
	if at := k.w.positions[name]; p.Offset != at {
		k.fail("%s begins %v at %d, committed is %d", c.name, name, p.Offset, at)
	}
}

func (k *checker) freed(c *simClient, name client.TopicPartition) {
	if k.believers[name] == c {
		delete(k.believers, name)
	}
}

func (k *checker) forget(c *simClient) {
	for name, who := range k.believers {
		if who == c {
			delete(k.believers, name)
		}
	}
}

// ended checks why a membership is over.
func (k *checker) ended(c *simClient) {
	k.forget(c)
	switch fault.CodeOf(c.ended) {
	case fault.Closing:
	case fault.FencedInstanceID:
		if c.instance == "" {
			k.fail("%s: %v", c.name, c.ended)
		}
	default:
		k.fail("%s: %v", c.name, c.ended)
	}
	if len(c.commits) > 0 {
		k.fail("%s ends with %d commits without an answer", c.name, len(c.commits))
	}
	c.gone = true
}

// answered notes what a fetch brought.
func (k *checker) answered(c *simClient, q Fetch, out []Fetched) {
	k.bytes = map[client.TopicPartition][]piece{}
	for i, p := range q.Partitions {
		name := nameOf(p.Partition)
		if out[i].Bytes > 0 {
			end := min(k.w.ends[name], p.From-p.From%batchRecords+record.Offset(out[i].Bytes/batchBytes*batchRecords))
			k.bytes[name] = append(k.bytes[name], piece{p.From, end, out[i].Bytes})
		}
	}
}

// delivered checks that records come without gaps and not twice, and returns their bytes.
func (k *checker) delivered(c *simClient, h *holding, d Delivery) int {
	name := nameOf(d.Partition)
	if h == nil || h.revoking {
		k.fail("%s is sent %v, which it does not have", c.name, name)
		return 0
	}
	for _, p := range k.bytes[name] {
		if p.from == d.From && p.next == d.Next && d.From == h.next {
			k.read += int(d.Next - d.From)
			return p.bytes
		}
	}
	k.fail("%s is sent %v from %d to %d, it has come to %d; %v were read", c.name, name, d.From, d.Next, h.next, k.bytes[name])
	return 0
}

// moved checks that positions in the log only grow.
func (k *checker) moved(was, now map[client.TopicPartition]record.Offset) {
	for name, at := range was {
		if now[name] < at {
			k.fail("the position of %v goes back from %d to %d", name, at, now[name])
		}
	}
}

// settled checks a world that was left in peace: all is owned and read, evenly.
func (k *checker) settled() {
	alive := k.w.alive()
	owned := map[client.TopicPartition]string{}
	loads := map[string][]int{}
	for _, c := range alive {
		if c.core.State() != Steady {
			k.fail("%s is in state %d", c.name, c.core.State())
		}
		for _, name := range sortedNames(c.holds) {
			if was, taken := owned[name]; taken {
				k.fail("%v belongs to %s and %s", name, was, c.name)
			}
			owned[name] = c.name
			if h := c.holds[name]; !c.lazy && h.worked < k.w.ends[name] {
				k.fail("%s has read %v to %d, it ends at %d", c.name, name, h.worked, k.w.ends[name])
			}
		}
		of := fmt.Sprint(c.cfg.Topics)
		loads[of] = append(loads[of], len(c.holds))
	}
	for _, same := range loads {
		if slices.Max(same)-slices.Min(same) > 1 {
			k.fail("loads of members that read the same: %v", same)
		}
	}
	for name, s := range k.w.topics {
		for n := range s.Partitions {
			p := client.TopicPartition{Topic: name, Partition: record.Partition(n)}
			read := slices.ContainsFunc(alive, func(c *simClient) bool { return slices.Contains(c.cfg.Topics, name) })
			if read && owned[p] == "" {
				k.fail("%v belongs to nobody", p)
			}
		}
	}
}

// members is how many the coordinator knows.
func (w *world) members() (n int) {
	w.req++
	for _, r := range w.core.Step(w.now, group.Describe{Req: w.req}).Replies {
		n = len(r.Answer.(group.Description).Members)
	}
	return n
}

func simulate(seed uint64, f faults) *checker {
	w := newWorld(seed, f)
	w.chaos(120)
	for _, c := range w.alive() {
		c.stubborn = false
	}
	w.full = true
	w.run(4 * time.Minute)
	if w.check.err == nil {
		w.check.settled()
	}
	steps, began := 0, w.now
	for _, c := range w.alive() {
		steps -= c.steps
	}
	w.run(time.Minute)
	for _, c := range w.alive() {
		steps += c.steps
	}
	if per := float64(steps) / w.now.Sub(began).Seconds() / float64(max(1, len(w.alive()))); per > 100 {
		w.check.fail("%.0f steps of a member a second in peace", per)
	}
	if w.check.err == nil {
		for _, c := range w.alive() {
			c.close()
		}
		w.run(2 * time.Minute)
		if n := w.members(); n > 0 && w.check.err == nil {
			w.check.fail("%d members are left", n)
		}
	}
	return w.check
}

// Goal: whatever members, their clients and the coordinator do, nobody is given a partition that somebody else who is
// awake has; nothing is skipped, or read again once it was committed; positions only grow; each commit is answered
// once; delivered bytes are bounded; and a group that is left in peace is whole and even. Method: random worlds,
// each from its seed, against the real coordinator.
func TestSimulation(t *testing.T) {
	seeds, given, read := uint64(40), 0, 0
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		k := simulate(seed, faults{})
		if k.err != nil {
			t.Fatalf("seed %d: %v", seed, k.err)
		}
		given, read = given+k.given, read+k.read
	}
	if uint64(given) < 50*seeds || uint64(read) < 1000*seeds {
		t.Errorf("%d partitions given and %d records read in %d worlds: little was tested", given, read, seeds)
	}
	t.Logf("%d partitions given, %d records read", given, read)
}

// Goal: the checkers see what they are for. Method: worlds with one thing broken, each of which must fail soon.
func TestSimulationNegativeControls(t *testing.T) {
	for name, f := range map[string]faults{
		"a greedy leader": {greedyLeader: true}, "a lying network": {lying: true},
		"a forgetful log": {forgetful: true}, "fetches with gaps": {skipping: true},
	} {
		found := error(nil)
		for seed := uint64(0); seed < 20 && found == nil; seed++ {
			found = simulate(seed, f).err
		}
		if found == nil {
			t.Errorf("%s: nothing was noticed", name)
		}
		t.Logf("%s: %v", name, found)
	}
}
