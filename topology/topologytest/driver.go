package topologytest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/mem"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// Driver runs all tasks of one topology. One goroutine only.
type Driver struct {
	t       testing.TB
	topo    *topology.Topology
	options options
	now     time.Time
	log     *memoryLog
	states  *mem.States
	tasks   []*running
	epoch   record.Epoch
	events  []func()
	crashIn int // events until a crash; 0: none planned
	failure error
}

// running is one task in one of its lives.
type running struct {
	id   task.ID
	core *task.Core
	life record.Epoch
	wake time.Time
	over bool
}

// maxEvents bounds what one call of the driver may set off, so that a topology that feeds itself fails its
// test.
const maxEvents = 10_000_000

// New starts a driver with every task of the topology. When the test ends the tasks are stopped gracefully.
func New(t testing.TB, topo *topology.Topology, opts ...Option) *Driver {
	t.Helper()
	d := &Driver{t: t, topo: topo, options: defaults()}
	for _, o := range opts {
		o.apply(&d.options)
	}
	d.now = d.options.startAt
	d.log, d.states = newMemoryLog(d.options), mem.NewStates()
	if g := topo.Graph(); len(g.Stores)+len(g.Repartitions) > 0 {
		own, err := plan.Partitions(g, d.log.partitions)
		if err != nil {
			t.Fatalf("topologytest: %v", err)
		}
		d.log.own = own
	}
	d.start()
	t.Cleanup(func() {
		d.Stop()
		if d.failure != nil {
			t.Errorf("topologytest: %v", d.failure)
		}
	})
	return d
}

// Now is the driver's clock.
func (d *Driver) Now() time.Time { return d.now }

// Advance moves the clock on; commits and punctuations that fall due on the way happen at their times, in
// order.
func (d *Driver) Advance(by time.Duration) {
	d.t.Helper()
	end := d.now.Add(by)
	for {
		d.settle()
		r := d.nextWake()
		if r == nil || r.wake.After(end) {
			break
		}
		if r.wake.After(d.now) {
			d.now = r.wake
		}
		d.deliver(r, task.Tick{})
	}
	if end.After(d.now) {
		d.now = end
	}
	d.settle()
}

// Crash ends every task at once, as a killed process would, and starts it again from the committed offsets and with
// the rows that were applied. Requests on their way are lost.
func (d *Driver) Crash() {
	d.t.Helper()
	d.kill()
	d.start()
}

// LoseState is Crash with every row on disk lost, as on another machine: stores come back from their changelogs,
// those without one begin empty.
func (d *Driver) LoseState() {
	d.t.Helper()
	d.kill()
	d.states = mem.NewStates()
	d.start()
}

// CrashAfter lets the tasks crash and start again in the middle of the calls that follow: after n more
// events. An event is a request that is carried out, or an answer that is received.
func (d *Driver) CrashAfter(n int) { d.crashIn = n }

// Stop ends every task gracefully: outputs are written, offsets committed, processors closed. Restart starts
// them again.
func (d *Driver) Stop() {
	d.t.Helper()
	d.settle()
	for asked := record.Epoch(-1); asked != d.epoch; { // a planned crash may come in between
		asked = d.epoch
		for _, r := range d.tasks {
			if !r.over {
				d.deliver(r, task.Stop{})
			}
		}
		d.settle()
	}
	for _, r := range d.tasks {
		if !r.over {
			d.t.Errorf("topologytest: task %s does not stop", r.id)
		}
	}
	d.kill()
}

// Restart starts every task that does not run, after Stop or a failure, from its committed offsets.
func (d *Driver) Restart() {
	d.t.Helper()
	d.kill()
	d.start()
}

// Failed returns the error with which a task stopped since the last call, or nil. A failure that nobody asks
// for fails the test.
func (d *Driver) Failed() error {
	d.t.Helper()
	d.settle()
	err := d.failure
	d.failure = nil
	return err
}

// Committed returns the committed offset of an input partition, or task.NotCommitted.
func (d *Driver) Committed(topic string, p record.Partition) record.Offset {
	d.settle()
	return d.log.committed(topic, p)
}

func (d *Driver) start() {
	d.t.Helper()
	d.epoch++
	d.tasks = nil
	for _, id := range task.IDs(d.topo.Graph(), d.log.partitions) {
		r := &running{id: id}
		d.tasks = append(d.tasks, r)
		d.live(r)
	}
	d.settle()
}

// live begins a life of a task.
func (d *Driver) live(r *running) {
	d.t.Helper()
	cfg := task.Config{
		ID: r.id, Graph: d.topo.Graph(), Epoch: d.epoch, Context: d.t.Context(), States: d.states,
	}
	if d.options.tune != nil {
		d.options.tune(&cfg)
	}
	core, err := task.New(cfg)
	if err != nil {
		d.t.Fatalf("topologytest: %v", err)
	}
	r.core, r.life, r.over = core, d.epoch, false
	d.deliver(r, task.Open{})
}

func (d *Driver) kill() {
	for _, r := range d.tasks {
		if err := r.core.Close(); err != nil {
			d.fail(fmt.Errorf("close task %s: %w", r.id, err))
		}
		r.over = true
	}
	d.events, d.crashIn = nil, 0
	d.log.forgetWatches()
}

func (d *Driver) fail(err error) { d.failure = errors.Join(d.failure, err) }

// settle runs events until there are none.
func (d *Driver) settle() {
	d.t.Helper()
	for n := 0; len(d.events) > 0; n++ {
		if n == maxEvents {
			d.t.Fatalf("topologytest: still busy after %d events: does the topology feed itself?", n)
		}
		e := d.events[0]
		d.events = d.events[1:]
		e()
		if d.crashIn > 0 {
			if d.crashIn--; d.crashIn == 0 {
				d.Crash()
			}
		}
	}
}

// later queues an event of one life of a task; a crash drops it.
func (d *Driver) later(e func()) { d.events = append(d.events, e) }

func (d *Driver) deliver(r *running, in task.Input) {
	life := r.life
	d.later(func() {
		if r.life == life {
			d.step(r, in)
		}
	})
}

func (d *Driver) step(r *running, in task.Input) {
	if r.over {
		return
	}
	e, err := r.core.Step(d.now, in)
	r.wake = e.Wake
	if again := (*task.RestartError)(nil); errors.As(err, &again) {
		d.epoch++
		d.live(r)
		return
	}
	if r.over = e.Stopped || err != nil; err != nil {
		d.fail(err)
		return
	}
	task.Carry(ports{d, r}, r.id, e, func(a task.Input) { d.deliver(r, a) })
}

// nextWake returns the task that is due first.
func (d *Driver) nextWake() *running {
	var next *running
	for _, r := range d.tasks {
		if r.over || r.wake.IsZero() {
			continue
		}
		if next == nil || r.wake.Before(next.wake) {
			next = r
		}
	}
	return next
}
