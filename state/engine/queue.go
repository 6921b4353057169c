package engine

import (
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// item is one thing in a class's queue: a write, a write that was refused on arrival (its done runs in its
// turn), a mark of a barrier, or something else that only the committer may do.
type item struct {
	w       state.Write
	done    func(error)
	err     error
	counted bool // in its replica's count of queued writes
	barrier *barrier
	turn    func() // runs on the committer in its turn
	size    groupSize
	apart   bool // what is before it in the log must stand in the bucket when it is staged
}

// barrier is passed when its mark has been taken from the queue of every class.
type barrier struct {
	left atomic.Int32
	done func(error)
}

func (b *barrier) arrive(err error) {
	if b.left.Add(-1) == 0 {
		b.done(err)
	}
}

// groupSize is what a write, or several, put into a group.
type groupSize struct{ rows, valueBytes, inlineBytes int64 }

func (g groupSize) plus(o groupSize) groupSize {
	return groupSize{g.rows + o.rows, g.valueBytes + o.valueBytes, g.inlineBytes + o.inlineBytes}
}

func (g groupSize) minus(o groupSize) groupSize {
	return groupSize{g.rows - o.rows, g.valueBytes - o.valueBytes, g.inlineBytes - o.inlineBytes}
}

// within reports whether everything fits into l.
func (g groupSize) within(l limits) bool {
	return g.rows <= l.rows && g.valueBytes <= l.valueBytes && g.inlineBytes <= l.inlineBytes
}

// add counts one row whose value has n bytes.
func (g *groupSize) add(n int) {
	g.rows++
	g.inlineBytes += directoryRow
	if isLarge(n) {
		g.valueBytes += int64(n)
	} else {
		g.inlineBytes += int64(n)
	}
}

// hintBytes is the size of a hint row's value.
const hintBytes = rowHeader + 8

// sizeOf is the most that a write adds to a group: its rows, a tail row, and its hints.
func sizeOf(w state.Write) groupSize {
	var g groupSize
	payload := int64(0)
	for _, e := range w.Entries {
		g.add(len(e.Frame))
		payload += int64(len(e.Frame))
	}
	for _, r := range w.Carried {
		g.add(rowHeader + len(r.Value))
	}
	g.add(rowHeader + tailFixed + len(w.Tail.Conf))
	if len(w.Entries) > 0 {
		for range 1 + payload/hintEvery {
			g.add(hintBytes)
			g.add(hintBytes)
		}
	}
	return g
}

// bulky reports whether a write may be refused for lack of room while smaller ones pass: it has records, or
// is large.
func (it *item) bulky() bool {
	for _, e := range it.w.Entries {
		if e.Type == state.EntryRecords {
			return true
		}
	}
	return it.size.valueBytes+it.size.inlineBytes > smallWrite
}

// group is what one turn of the committer settles.
type group struct {
	items   []*item
	size    groupSize
	barrier *barrier
	turn    func()
}

// has reports whether a write of the replica is in the group.
func (g *group) has(id record.ReplicaID) bool {
	return slices.ContainsFunc(g.items, func(it *item) bool { return it.w.Replica == id })
}

// groupLimits are the limits of an ordinary group.
var groupLimits = limits{rows: groupRows, valueBytes: groupValueBytes, inlineBytes: groupInlineBytes}

// push queues an item.
func (c *class) push(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, it)
	c.waiting = c.waiting.plus(it.size)
	if it.hurries() {
		c.urgent++
	}
	if c.readyLocked() {
		c.cond.Signal()
	}
}

// hurries reports whether the item is a reason to commit. A write with neither Sync nor Within waits
// for one that is.
func (it *item) hurries() bool {
	return it.barrier != nil || it.turn != nil || it.err != nil || it.w.Sync || it.w.Within > 0
}

// readyLocked reports whether the committer has something to do.
func (c *class) readyLocked() bool {
	return len(c.queue) > 0 && (c.urgent > 0 || c.s.fenced.Load() != nil || !c.waiting.within(groupLimits))
}

// take cuts the next group off the queue: everything that waits up to the limits and to the next barrier. A
// single larger write goes alone. It returns nil where nothing has to be done yet; all says not to wait for
// a synced write.
func (c *class) take(all bool) *group {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || (!all && !c.readyLocked()) {
		return nil
	}
	g := &group{}
	n := 0
	for _, it := range c.queue {
		if it.barrier != nil || it.turn != nil {
			g.barrier, g.turn = it.barrier, it.turn
			n++
			break
		}
		if size := g.size.plus(it.size); n > 0 && !size.within(groupLimits) || it.apart && g.has(it.w.Replica) {
			break
		}
		g.items = append(g.items, it)
		g.size = g.size.plus(it.size)
		n++
	}
	for i, it := range c.queue[:n] {
		if it.hurries() {
			c.urgent--
		}
		c.waiting = c.waiting.minus(it.size)
		c.queue[i] = nil
	}
	c.queue = c.queue[n:]
	if len(c.queue) == 0 {
		c.queue = nil
	}
	return g
}

func (c *class) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cond.Signal()
}

// stop lets the committer settle what is queued and end.
func (c *class) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.cond.Signal()
}

// run is the committer's goroutine.
func (c *class) run() {
	defer c.s.wg.Done()
	for c.waitForWork() {
		c.step(false)
		c.yield()
	}
	for c.step(true) {
	}
}

// yield lets those who have just heard of a group write what they held back for it, where a next group would begin at
// once: what comes in this moment rides along instead of waiting for a whole sync. Without it two partitions that both
// wait for their last entry, such as a task's input and its output, take turns, each at half the rate.
func (c *class) yield() {
	c.mu.Lock()
	more := len(c.queue) > 0
	c.mu.Unlock()
	if more {
		runtime.Gosched()
	}
}

func (c *class) waitForWork() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.stopped && !c.readyLocked() {
		c.cond.Wait()
	}
	return !c.stopped
}
