package task

import "github.com/millstream-io/millstream/proto/record"

// restRows is how many rows, or records of a batch, a task keeps memory for while it has nothing to do.
const restRows = 256

// rest gives back the memory that a burst has taken, once everything is committed and nothing new has come: a
// member has far more tasks than busy ones. A task with a steady input never gets here.
func (c *Core) rest() {
	if c.dirty() || !c.out.empty() {
		return
	}
	if c.stores.dirty != nil {
		c.stores.dirty.rest()
	}
	c.out.rest()
}

// rest begins large empty layers anew.
func (d *dirty) rest() {
	if d.walks > 0 || d.frozen != nil {
		return
	}
	d.active, d.spare = d.active.rested(), d.spare.rested()
	d.overlays = nil
	if cap(d.undo.old) > restRows {
		d.undo = undo{}
	}
}

// rested returns an empty layer that takes no more memory than a small one.
func (l *layer) rested() *layer {
	if cap(l.rows) <= restRows {
		return l
	}
	return newLayer()
}

// rest begins the buffers of large batches anew. Nothing is in them.
func (o *outbox) rest() {
	for _, t := range o.order {
		for _, p := range t.parts {
			if cap(p.origins.offsets)+cap(p.spare.offsets) > restRows {
				p.growing, p.origins, p.spare = record.Builder{}, origins{}, origins{}
			}
			p.closed = nil
		}
	}
}
