package task

import (
	"errors"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// Core is the state machine of one task. One goroutine at a time.
type Core struct {
	cfg     Config
	sub     *plan.Sub
	inst    plan.Instance
	inputs  []*inputPartition // one per source, in the order of Sub.Sources
	out     *outbox
	commits committer

	stores     *stores
	changelogs changelogs
	loaded     mark      // that stood beside the rows on disk
	restoredMs int64     // highest time of a restored record, in milliseconds
	opening    pause     // before the rows are opened again
	openBy     time.Time // when that is given up
	trimDue    time.Time

	phase   phase
	paused  bool // no record is taken and none is asked for
	now     time.Time
	step    bool  // a Step runs, or one panicked
	failure error // what the task stops for, once it is drained
	drainBy time.Time
	effects Effects

	inOrder bool            // records are taken by time over all inputs, as far as these are known to have any
	current *inputPartition // whose record is being processed
	raw     *record.Record  // that record
	from    origin          // of what Send was last called with: scratch
	taken   int             // records of this Step
	cut     bool            // this Step was interrupted
	located pause           // between Locates that failed
}

type phase uint8

const (
	phaseNew       phase = iota
	phaseFencing         // earlier lives may still write to the changelogs
	phaseOpening         // the rows on disk are not open yet
	phaseRestoring       // rows are missing
	phaseLocating        // positions are not known yet
	phaseRunning
	phaseDraining // no record is processed any more; outputs and offsets are still on their way
	phaseStopped
)

// New makes a task; it begins with Step(Open{}). It constructs the processors but does not Init them.
func New(cfg Config) (*Core, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("make task %s: %w", cfg.ID, err)
	}
	c := &Core{cfg: cfg.withDefaults(), sub: cfg.Graph.Subs[cfg.ID.Sub], paused: cfg.Paused}
	c.out, c.stores = newOutbox(c.cfg), newStores(c.sub, c.cfg.MaxDirtyBytes)
	c.changelogs = newChangelogs(c.stores)
	inst, err := c.sub.Open(runtimeOf{c})
	if err != nil {
		return nil, fmt.Errorf("open task %s: %w", cfg.ID, err)
	}
	c.inst = inst
	for i, chain := range inst.Chains() {
		c.inputs = append(c.inputs, &inputPartition{
			source: c.sub.Sources[i], chain: chain, committed: NotCommitted,
		})
	}
	c.inOrder = len(c.inputs) > 1 && (len(c.sub.Stores) > 0 || c.cfg.MaxTaskIdle > 0) && c.cfg.MaxTaskIdle >= 0
	return c, nil
}

// errOver is what a Step after the end returns.
var errOver = errors.New("task is over: a step failed or panicked before")

// Step takes one input and says what must happen. Times that go back are taken as standing still. An error
// ends the task: what is not committed is left to its next life, and no effects come with it. A panic of user
// code passes through; whoever recovers it calls At for the position and Close for the processors.
func (c *Core) Step(now time.Time, in Input) (Effects, error) {
	if c.step || c.phase == phaseStopped {
		release(in)
		return Effects{Stopped: c.phase == phaseStopped && c.failure == nil}, c.over()
	}
	c.step = true
	if now.After(c.now) {
		c.now = now
	}
	c.effects, c.taken, c.out.written, c.cut = Effects{}, 0, 0, false
	err := c.take(in)
	if err == nil {
		err = c.work()
	}
	c.cfg.Observer.Stepped(c.cfg.ID, c.taken, c.out.written)
	if err != nil {
		return Effects{}, c.fail(err)
	}
	c.step = false
	return c.effects, nil
}

// Close ends the processors of a task that did not end by itself: revoked, fenced, panicked, and closes its
// rows, which may block on the disk. It is idempotent, and releases fetched bytes. Outputs that are on their
// way stay so; changed rows that are not committed are forgotten.
func (c *Core) Close() error {
	c.phase = phaseStopped
	if c.failure == nil {
		c.failure = errOver
	}
	for _, in := range c.inputs {
		in.drop()
	}
	return c.closeAll()
}

// closeAll closes the processors, then the rows that they may still look at.
func (c *Core) closeAll() error {
	return errors.Join(c.inst.Close(), c.stores.close())
}

// At names the record that is being processed, or was when a Step panicked: "topic/partition@offset", or ""
// where no record was.
func (c *Core) At() string {
	topic, p, offset, ok := c.Record()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s/%d@%d", topic, p, offset)
}

// Record tells the position that At names; not ok where no record was.
func (c *Core) Record() (topic string, p record.Partition, offset record.Offset, ok bool) {
	if c.current == nil {
		return "", 0, 0, false
	}
	return c.current.source.Topic, c.cfg.ID.Partition, c.raw.Offset, true
}

func (c *Core) over() error {
	if c.phase == phaseStopped && c.failure == nil {
		return nil
	}
	return errOver
}

// fail closes the task and returns why.
func (c *Core) fail(err error) error {
	c.failure = err
	if closeErr := c.Close(); closeErr != nil {
		return errors.Join(err, fmt.Errorf("close task %s: %w", c.cfg.ID, closeErr))
	}
	return err
}

// take brings an input into the state.
func (c *Core) take(in Input) error {
	switch in := in.(type) {
	case Open:
		return c.open()
	case Fenced:
		return c.takeFenced(in)
	case Located:
		return c.takeLocated(in)
	case Fetched:
		return c.takeFetched(in)
	case Described:
		return c.out.takeDescribed(c, in)
	case Sent:
		return c.out.takeSent(c, in)
	case Committed:
		return c.takeCommitted(in)
	case Pause:
		c.pause(in.Paused)
	case Stop:
		c.drain(nil)
	case Tick:
	}
	return nil
}

func (c *Core) open() error {
	must(c.phase == phaseNew, "task %s is opened twice", c.cfg.ID)
	c.phase = phaseFencing
	return nil
}

// pause stops taking records and punctuating, or goes on with it.
func (c *Core) pause(on bool) {
	c.paused = on
	c.cfg.Observer.Paused(c.cfg.ID, on)
}

// drain stops processing, for err or for good. The first reason counts.
func (c *Core) drain(err error) {
	if c.phase == phaseDraining {
		return
	}
	c.phase = phaseDraining
	if c.failure = err; err != nil {
		c.drainBy = c.now.Add(c.cfg.DrainTimeout)
	}
	for _, in := range c.inputs {
		in.drop()
	}
}

// work does what the state allows: prepare, process, send, commit, fetch, and at last stop.
func (c *Core) work() error {
	if err := c.prepare(); err != nil {
		return err
	}
	c.retryLocate()
	if err := c.progress(); err != nil {
		return err
	}
	if err := c.logRows(); err != nil {
		return err
	}
	if err := c.out.flush(c); err != nil {
		return err
	}
	if err := c.commit(); err != nil {
		return err
	}
	if c.phase == phaseDraining && (c.drained() || c.outOfTime()) {
		return c.stop()
	}
	if c.phase == phaseRunning && !c.paused {
		c.fetch()
	}
	c.wake()
	return nil
}

// progress processes records and takes snapshots. Where the rows in memory had no room for more, a snapshot
// makes some, and it goes on.
func (c *Core) progress() error {
	for {
		if c.phase == phaseRunning {
			if err := c.process(); err != nil {
				if c.stores.lost != nil {
					return c.loseStores(c.stores.lost)
				}
				c.drain(err)
			}
		}
		early := c.stores.full()
		if taken := c.snapshot(); !taken || !early {
			return nil
		}
	}
}

// process runs what wall-clock time and fetched records have to offer, as long as there is room for what they
// write.
func (c *Core) process() error {
	if c.paused {
		return nil
	}
	if at := c.inst.NextPunctuation(); !at.IsZero() && !c.now.Before(at) && c.room() {
		c.begin()
		if err := c.undone(c.inst.Punctuate(c.now)); err != nil {
			return err
		}
	}
	for c.room() {
		in, until := c.nextInput()
		if in == nil {
			return nil
		}
		if err := c.run(in, until); err != nil {
			return err
		}
	}
	return nil
}

// full reports whether nothing more may be written: outputs wait for acknowledgements, or changed rows for a
// snapshot.
func (c *Core) full() bool { return c.out.full() || c.stores.full() }

// room reports whether user code may be called once more in this Step. A full batch that can leave ends it: what
// makes it durable goes on beside the records that follow.
func (c *Core) room() bool {
	if c.full() || c.out.asking {
		return false
	}
	c.cut = c.cut || c.cfg.Interrupted() || c.out.ready || c.out.queued > 0 && c.cfg.Answered()
	return !c.cut
}

// begin starts what undone takes back: one record, or one punctuation.
func (c *Core) begin() {
	c.out.mark()
	c.stores.begin()
}

// undone takes back what was written and changed since begin, where that ended with an error, and returns the
// error. What fails has no effect: it is done again as a whole.
func (c *Core) undone(err error) error {
	if c.stores.lost != nil {
		return c.stores.lost // whatever became of it on the way through user code
	}
	if err == nil {
		return nil
	}
	c.stores.rollback()
	if undoErr := c.out.rollback(); undoErr != nil {
		return errors.Join(err, undoErr)
	}
	return err
}

func (c *Core) drained() bool {
	return c.out.empty() && !c.commits.busy() && !c.dirty()
}

func (c *Core) outOfTime() bool {
	return c.failure != nil && !c.now.Before(c.drainBy)
}

func (c *Core) stop() error {
	if c.failure != nil {
		return c.failure
	}
	c.phase = phaseStopped
	c.effects.Stopped = true
	if err := c.closeAll(); err != nil {
		return fmt.Errorf("close task %s: %w", c.cfg.ID, err)
	}
	return nil
}

// wake sets the time of the next Step to the first of everything that waits for a time.
func (c *Core) wake() {
	w := &c.effects.Wake
	soonest(w, c.located.until)
	soonest(w, c.out.wake())
	soonest(w, c.commitWake())
	switch c.phase {
	case phaseFencing, phaseOpening, phaseRestoring:
		soonest(w, c.opening.until)
		for _, l := range c.changelogs {
			if l != nil {
				soonest(w, l.pause.until)
			}
		}
	case phaseRunning:
		if c.paused || c.full() || c.out.asking {
			return // the next answer wakes the task; a time that has passed would do so for nothing
		}
		if c.cut {
			soonest(w, c.now)
		}
		soonest(w, c.inst.NextPunctuation())
		for _, in := range c.inputs {
			soonest(w, in.wake(c))
		}
	case phaseDraining:
		soonest(w, c.drainBy)
	}
}

func soonest(w *time.Time, t time.Time) {
	if !t.IsZero() && (w.IsZero() || t.Before(*w)) {
		*w = t
	}
}

// pause is the wait between tries of something that failed. The zero value waits for nothing.
type pause struct {
	until time.Time // zero: not waiting
	last  time.Duration
}

func (p *pause) begin(now time.Time) {
	p.last = min(max(2*p.last, firstPause), highestPause)
	p.until = now.Add(p.last)
}

func (p *pause) over(now time.Time) bool { return p.until.IsZero() || !now.Before(p.until) }

func retryable(err error) bool { return fault.CodeOf(err).Retryable() }

func release(in Input) {
	if f, ok := in.(Fetched); ok && f.Release != nil {
		f.Release()
	}
}
