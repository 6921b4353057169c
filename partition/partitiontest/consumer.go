package partitiontest

import (
	"errors"
	"strings"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// consumer reads from whoever says that it leads, by long polls.
type consumer struct {
	c     *Cluster
	id    int
	at    record.Offset
	epoch record.Epoch // the newest leader epoch it has heard of: an older leader is not asked
}

// seen is one record as a reader saw it.
type seen struct {
	offset   record.Offset
	epoch    record.Epoch
	key      string
	value    string // without padding
	deletes  bool
	producer record.ProducerID
	sequence record.Sequence
}

func newConsumer(c *Cluster, id int) *consumer {
	co := &consumer{c: c, id: id}
	c.after(c.between(0, 50*time.Millisecond), co.poll)
	return co
}

// poll asks the leader to say when there is something, then fetches. It never stops.
func (co *consumer) poll() {
	co.c.after(co.c.between(100*time.Millisecond, 300*time.Millisecond), co.poll)
	l := co.c.leader()
	if co.c.o.Break == ReadAhead {
		co.readAhead()
		return
	}
	if l == nil {
		return
	}
	l.ask(func(req partition.ReqID) partition.Input {
		return partition.Watch{Req: req, From: co.at, MinBytes: 1 + co.c.rng.IntN(500), Deadline: co.c.now.Add(200 * time.Millisecond)}
	}, func(r partition.Reply) {
		if r.Err == nil && r.View != nil && r.View.Ready {
			co.fetch(l)
		}
	})
}

func (co *consumer) fetch(h *host) {
	v := h.view
	if v == nil || !v.Leader || !v.Ready || v.Epoch < co.epoch {
		return
	}
	co.epoch = v.Epoch
	if v.HighWatermark < co.at {
		co.c.history.fail("P4", "the high watermark went back for consumer %d: it read up to %d, epoch %d shows %d",
			co.id, co.at, v.Epoch, v.HighWatermark)
	}
	co.readTrimmed(h, v)
	max := 1 + co.c.rng.IntN(20<<10)
	batches, ok := v.Cached(co.at, max)
	if !ok {
		var err error
		batches, err = h.readCold(v, co.at, max)
		switch {
		case err != nil && h.meets(err):
			return
		case errors.Is(err, fault.OffsetOutOfRange) && co.at < v.LogStart:
			co.c.reached["reset"]++
			co.at = v.LogStart
			return
		case errors.Is(err, fault.OffsetOutOfRange):
			co.c.history.fail("P4", "consumer %d is at %d, the leader of epoch %d has [%d, %d]: %v",
				co.id, co.at, v.Epoch, v.LogStart, v.LogEnd, err)
			return
		case err != nil && !errors.Is(err, fault.OffsetNotAvailable):
			co.c.history.fail("P4", "consumer %d can't read offset %d: %v", co.id, co.at, err)
			return
		case err != nil:
			return
		}
	}
	got, next, err := decode(batches, co.at)
	if err != nil || len(got) == 0 && co.at < v.HighWatermark && !co.c.o.Compact {
		co.c.history.fail("P4", "consumer %d reads %d records at %d of %d: %v", co.id, len(got), co.at, v.HighWatermark, err)
		return
	}
	if co.c.o.Compact {
		if len(batches) == 0 {
			next = v.HighWatermark // nothing is left up to there
		}
		co.note(got, next, v)
	}
	h.served(got)
	co.take(got)
	co.at = next
}

// note tells the history what was left out between records.
func (co *consumer) note(got []seen, next record.Offset, v *segment.View) {
	at := co.at
	skip := func(to record.Offset) {
		if to > at {
			co.c.reached["skipped"]++
			co.c.history.skips = append(co.c.history.skips, skipped{at, to, v.HighWatermark, co.c.now})
		}
		at = to + 1
	}
	for _, s := range got {
		skip(s.offset)
	}
	skip(next)
}

func (co *consumer) take(got []seen) {
	for _, s := range got {
		co.c.history.observe(s)
		co.at = s.offset + 1
	}
}

// readAhead reads everything that a leader has appended, committed or not.
func (co *consumer) readAhead() {
	for _, h := range co.c.hosts {
		if h.view == nil || !h.view.Leader {
			continue
		}
		tail, _, err := h.store.Load(h.id)
		if err != nil || tail.Last < tail.First {
			continue
		}
		entries, err := h.store.Entries(h.id, tail.First, tail.Last+1, 1<<30, nil)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.Type == state.EntryRecords && e.Base >= co.at {
				if got, _, err := decode([][]byte{e.Payload()}, e.Base); err == nil {
					co.take(got)
				}
			}
		}
	}
}

// decode unpacks what a read returned, from offset at on, and says where to go on.
func decode(slices [][]byte, at record.Offset) (out []seen, next record.Offset, err error) {
	next = at
	for _, rest := range slices {
		for len(rest) > 0 {
			var b record.Batch
			if b, rest, err = record.Next(rest); err != nil {
				return out, next, err
			}
			if err := b.Check(); err != nil {
				return out, next, err
			}
			for r, err := range b.Records(0) {
				if err != nil {
					return out, next, err
				}
				if r.Offset < at {
					continue
				}
				s := seen{
					offset: r.Offset, epoch: b.LeaderEpoch(), key: string(r.Key), deletes: r.Value == nil, producer: b.ProducerID(),
					sequence: b.BaseSequence().Plus(int32(r.Offset - b.BaseOffset())),
				}
				full := r.Value
				if s.deletes && len(r.Headers) > 0 {
					full = r.Headers[0].Value
				}
				s.value, _, _ = strings.Cut(string(full), ".")
				out = append(out, s)
			}
			next = max(next, b.LastOffset()+1)
		}
	}
	return out, next, nil
}
