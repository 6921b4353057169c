package group

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// world is one group in virtual time: a coordinator over a log, and clients that come, go, crash, pause and
// take their time. All that happens comes from one seed.
type world struct {
	rng     *rand.Rand
	now     time.Time
	queue   schedule
	events  int
	log     []state.Entry // durable, in order
	flying  []flight      // appends on their way into it
	machine *Machine
	core    *Coordinator
	life    int       // of the coordinator
	bootAt  time.Time // when it began
	req     ReqID
	waits   map[ReqID]*waiting
	clients []*client
	ids     int
	check   *checker
	set     Settings
	faults  faults
	tickAt  time.Time
	down    bool
}

// faults are what a negative control breaks.
type faults struct {
	deaf      bool // no Tick reaches the coordinator
	forgetful bool // a restart loses what was acknowledged
	eager     bool // appends are acknowledged before they are in the log
}

type waiting struct {
	since time.Time
	what  string
	sync  Sync // where it is one
	done  func(Reply)
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

const simPartitions = 7

func newWorld(seed uint64, f faults) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1_700_000_000, 0), machine: New(),
		waits: map[ReqID]*waiting{}, faults: f, set: DefaultSettings(),
	}
	w.check = &checker{w: w, owners: map[int32]map[int]string{}, positions: map[int]int64{}}
	if w.rng.IntN(2) == 0 {
		w.set.InitialDelay = 3 * time.Second
	}
	w.boot()
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

// boot makes a coordinator of what the log has.
func (w *world) boot() {
	w.life++
	w.bootAt = w.now
	w.machine = New()
	for _, e := range w.log {
		must(w.machine.Apply(e) == nil, "apply")
	}
	w.core = NewCoordinator("g", w.set, w.machine.Query(Load{"g"}).(Stored), w.now, func() string {
		w.ids++
		return fmt.Sprint(w.ids)
	})
	w.down = false
	w.step(Tick{})
}

// crash ends the coordinator for a while: some of what was on its way reaches the log, the rest does not,
// and everybody who waits is told to find another one.
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
		w.log = w.log[:max(0, len(w.log)-3)]
	}
	for _, r := range slices.Sorted(maps.Keys(w.waits)) {
		wait := w.waits[r]
		delete(w.waits, r)
		w.after(w.between(1, 50*time.Millisecond), func() {
			wait.done(Reply{Err: fault.New(fault.NotCoordinator, "crashed")})
		})
	}
	w.after(w.between(10*time.Millisecond, 2*time.Second), w.boot)
}

func (w *world) land(f flight) {
	w.log = append(w.log, f.entry)
	w.check.landed(f.entry)
}

// ask gives the coordinator a request, or refuses it while there is none.
func (w *world) ask(what string, in Request, done func(Reply)) {
	if w.down {
		w.after(10*time.Millisecond, func() { done(Reply{Err: fault.New(fault.CoordinatorNotAvailable, "down")}) })
		return
	}
	w.req++
	sync, _ := in.(Sync)
	w.waits[w.req] = &waiting{w.now, what, sync, done}
	w.step(in.Numbered(w.req))
}

func (w *world) step(in Input) {
	e := w.core.Step(w.now, in)
	life := w.life
	for _, a := range e.Appends {
		entry := state.Entry{Index: 1, Type: state.EntryRecords, Frame: a.Frame}
		must(w.machine.Admit(entry.Type, entry.Payload()) == nil, "admit")
		w.flying = append(w.flying, flight{a.Token, entry})
		slowest := 30 * time.Millisecond
		if w.faults.eager {
			slowest = 3 * time.Second
		}
		w.after(w.between(time.Millisecond, slowest), func() { w.settle(life) })
		if w.faults.eager {
			w.after(0, func() { w.appended(life, a.Token) })
		}
	}
	for _, r := range e.Replies {
		wait := w.waits[r.Req]
		must(wait != nil, "reply to %d, which nobody asked or which was answered", r.Req)
		delete(w.waits, r.Req)
		w.check.waited(wait)
		if a, ok := r.Answer.(Synced); ok {
			w.check.owned(wait.sync.Who.ID, wait.sync.Generation, a.Assignment)
		}
		w.after(w.between(time.Millisecond, 10*time.Millisecond), func() { wait.done(r) })
	}
	must(e.Stop == nil, "stop: %v", e.Stop)
	if w.tickAt = e.Wake; !e.Wake.IsZero() && !w.faults.deaf {
		w.after(max(0, e.Wake.Sub(w.now)), func() {
			if w.life == life && !w.down && w.tickAt.Equal(e.Wake) {
				w.step(Tick{})
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
	if !w.faults.eager {
		w.appended(life, f.token)
	}
}

func (w *world) appended(life int, token uint64) {
	if w.life == life && !w.down {
		w.step(Appended{Token: token})
	}
}

// run lets virtual time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(end) && w.check.err == nil {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
		w.check.look()
	}
	w.now = end
}
