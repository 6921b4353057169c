package member

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/subscription/assign"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// world is one group in virtual time: the real coordinator over a log, topics that grow, and members with clients
// that come, go, crash, pause and take their time. All that happens comes from one seed.
type world struct {
	rng    *rand.Rand
	now    time.Time
	queue  schedule
	events int
	faults faults
	check  *checker

	log     []state.Entry // of the group, durable, in order
	flying  []flight
	machine *group.Machine
	core    *group.Coordinator
	life    int
	down    bool
	tickAt  time.Time
	req     group.ReqID
	waits   map[group.ReqID]func(group.Reply)
	ids     int

	topics    map[string]assign.Shape
	ends      map[client.TopicPartition]record.Offset // of the partitions
	positions map[client.TopicPartition]record.Offset // committed in the log
	full      bool                                    // nothing more is written
	clients   []*simClient
}

// faults are what a negative control breaks.
type faults struct {
	greedyLeader bool // gives partitions away that others hold
	lying        bool // heartbeats do not reach the coordinator and are answered
	forgetful    bool // the coordinator's restart loses commits
	skipping     bool // fetches answer with a gap
}

type flight struct {
	token uint64
	entry state.Entry
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

type schedule []event

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	return s[i].at.Before(s[j].at) || s[i].at.Equal(s[j].at) && s[i].seq < s[j].seq
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(e any)   { *s = append(*s, e.(event)) }
func (s *schedule) Pop() any {
	old := *s
	e := old[len(old)-1]
	*s = old[:len(old)-1]
	return e
}

func newWorld(seed uint64, f faults) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1_700_000_000, 0), faults: f,
		waits:     map[group.ReqID]func(group.Reply){},
		topics:    map[string]assign.Shape{"t": {ID: record.TopicID{1}, Partitions: 5}},
		ends:      map[client.TopicPartition]record.Offset{},
		positions: map[client.TopicPartition]record.Offset{},
	}
	w.check = &checker{w: w, believers: map[client.TopicPartition]*simClient{}}
	w.boot()
	w.produce()
	return w
}

func (w *world) after(d time.Duration, do func()) {
	w.events++
	heap.Push(&w.queue, event{w.now.Add(d), w.events, do})
}

// between is a random time in [lo, hi).
func (w *world) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)))
}

// produce lets the partitions grow.
func (w *world) produce() {
	if w.full {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(w.topics)) {
		for n := range w.topics[name].Partitions {
			if w.rng.IntN(3) == 0 {
				w.ends[client.TopicPartition{Topic: name, Partition: record.Partition(n)}] += record.Offset(w.rng.IntN(20))
			}
		}
	}
	w.after(w.between(100*time.Millisecond, 3*time.Second), w.produce)
}

// boot makes a coordinator of what the log has.
func (w *world) boot() {
	w.life++
	w.machine = group.New()
	for _, e := range w.log {
		must(w.machine.Apply(e) == nil, "apply")
	}
	set := group.DefaultSettings()
	set.MinSession = time.Second
	w.core = group.NewCoordinator("g", set, w.machine.Query(group.Load{Group: "g"}).(group.Stored), w.now, func() string {
		w.ids++
		return fmt.Sprint(w.ids)
	})
	w.down = false
	w.step(group.Tick{})
}

// crash ends the coordinator for a while: some of what was on its way reaches the log, and everybody who waits is
// told to find another one.
func (w *world) crash() {
	if w.down {
		return
	}
	w.down = true
	for _, f := range w.flying[:w.rng.IntN(len(w.flying)+1)] {
		w.land(f)
	}
	w.flying = nil
	if w.faults.forgetful {
		w.log = w.log[:max(0, len(w.log)-5)]
		w.recount()
	}
	for _, r := range slices.Sorted(maps.Keys(w.waits)) {
		done := w.waits[r]
		delete(w.waits, r)
		w.after(w.between(1, 50*time.Millisecond), func() {
			done(group.Reply{Err: fault.New(fault.NotCoordinator, "crashed")})
		})
	}
	w.after(w.between(10*time.Millisecond, 2*time.Second), w.boot)
}

func (w *world) land(f flight) {
	w.log = append(w.log, f.entry)
	w.recount()
}

// recount reads the positions from the log.
func (w *world) recount() {
	m := group.New()
	for _, e := range w.log {
		must(m.Apply(e) == nil, "apply")
	}
	now := map[client.TopicPartition]record.Offset{}
	for _, a := range m.Query(group.Question{Group: "g"}).(group.Answer) {
		now[client.TopicPartition{Topic: a.Topic, Partition: a.Partition}] = a.Offset
	}
	w.check.moved(w.positions, now)
	w.positions = now
}

// request gives the coordinator a request, or refuses it while there is none.
func (w *world) request(in group.Request, done func(group.Reply)) {
	if w.down {
		w.after(10*time.Millisecond, func() { done(group.Reply{Err: fault.New(fault.CoordinatorNotAvailable, "down")}) })
		return
	}
	w.req++
	w.waits[w.req] = done
	w.step(in.Numbered(w.req))
}

func (w *world) step(in group.Input) {
	e := w.core.Step(w.now, in)
	life := w.life
	for _, a := range e.Appends {
		entry := state.Entry{Index: 1, Type: state.EntryRecords, Frame: a.Frame}
		must(w.machine.Admit(entry.Type, entry.Payload()) == nil, "admit")
		w.flying = append(w.flying, flight{a.Token, entry})
		w.after(w.between(time.Millisecond, 30*time.Millisecond), func() { w.settle(life) })
	}
	for _, r := range e.Replies {
		done := w.waits[r.Req]
		must(done != nil, "reply to %d, which nobody asked or which was answered", r.Req)
		delete(w.waits, r.Req)
		w.after(w.between(time.Millisecond, 50*time.Millisecond), func() { done(r) })
	}
	must(e.Stop == nil, "stop: %v", e.Stop)
	if w.tickAt = e.Wake; !e.Wake.IsZero() {
		w.after(max(0, e.Wake.Sub(w.now)), func() {
			if w.life == life && !w.down && w.tickAt.Equal(e.Wake) {
				w.step(group.Tick{})
			}
		})
	}
}

// settle makes the oldest append durable.
func (w *world) settle(life int) {
	if w.life != life || w.down || len(w.flying) == 0 {
		return
	}
	f := w.flying[0]
	w.flying = w.flying[1:]
	w.land(f)
	must(w.machine.Apply(f.entry) == nil, "apply")
	w.step(group.Appended{Token: f.token})
}

// run lets virtual time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) && w.check.err == nil {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	w.now = end
}

// grow makes a topic larger, or another one.
func (w *world) grow() {
	name := fmt.Sprintf("t%d", w.rng.IntN(3))
	s := w.topics[name]
	if s.Partitions == 0 {
		s.ID = record.TopicID{byte(10 + len(w.topics))}
	}
	s.Partitions += 1 + w.rng.IntN(3)
	w.topics[name] = s
}

func (w *world) alive() (list []*simClient) {
	for _, c := range w.clients {
		if !c.gone {
			list = append(list, c)
		}
	}
	return list
}

// chaos lets things happen to a world for a while.
func (w *world) chaos(steps int) {
	for range steps {
		w.run(w.between(0, 3*time.Second))
		if w.check.err != nil {
			return
		}
		alive := w.alive()
		switch n := w.rng.IntN(14); {
		case len(alive) == 0 || n < 3 && len(alive) < 7:
			instance := ""
			if w.rng.IntN(3) == 0 {
				instance = fmt.Sprintf("static-%c", 'a'+len(w.clients)%26)
			}
			w.newClient(instance)
		case n < 5:
			alive[w.rng.IntN(len(alive))].close()
		case n < 7:
			c := alive[w.rng.IntN(len(alive))]
			c.die()
			if c.instance != "" { // its process starts again
				w.after(w.between(0, 15*time.Second), func() { w.newClient(c.instance) })
			}
		case n < 10:
			c := alive[w.rng.IntN(len(alive))]
			c.pausedTill = later(c.pausedTill, w.now.Add(w.between(0, 25*time.Second)))
		case n < 11:
			w.crash()
		case n < 12 && len(w.topics) < 4:
			w.grow()
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
