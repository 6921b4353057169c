package partitiontest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/partition/compaction"
	"github.com/millstream-io/millstream/partition/segment"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// chooseCompaction gives the topic its settings of compaction.
func (c *Cluster) chooseCompaction() {
	if !c.o.Compact {
		return
	}
	c.history.compacts = true
	c.keys = 3 + c.rng.Uint64N(12)
	if c.chance(0.5) {
		c.keys *= 10 // most are written once or twice
	}
	c.topic.Compact = true
	c.topic.DirtyRatio = []float64{0.01, 0.3, 0.5}[c.rng.IntN(3)]
	c.topic.DeleteRetentionMs = 500 + c.rng.Int64N(3000)
	if c.chance(0.3) {
		c.topic.MinLagMs = c.rng.Int64N(2000)
	}
	c.history.deleteMs = c.topic.DeleteRetentionMs
	c.after(c.between(0, time.Second), c.scan)
	for _, h := range c.hosts {
		if c.o.Break == CleanUncommitted {
			h.compactAll()
		}
	}
	if len(c.hosts) > 1 && !c.o.Trim {
		c.after(c.between(0, 5*time.Second), c.away)
	}
}

// keyOf is the key of a client's record n, and whether the record deletes it. It is the same for every
// attempt.
func (c *Cluster) keyOf(client, n int) (key string, deletes bool) {
	x := (uint64(client)<<32 + uint64(n) + c.o.Seed<<48) * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 32
	return fmt.Sprint("k", x%c.keys), x>>40%6 == 0
}

// compact carries out a pass of its replica, in steps between which anything may happen.
func (h *host) compact(k partition.Compact) {
	h.c.reached["pass"]++
	if h.c.o.Break == DropTombstones {
		k.Tombstones = k.Through
	}
	limit := 64 << 10
	if h.c.chance(0.2) {
		limit = 4 * compaction.BytesPerKey // fewer than there are keys
	}
	h.learn(k, compaction.NewBuilder(k.Cleaned, limit), max(k.First, k.Cleaned+1))
}

// compactAll goes over the whole log, committed or not, whenever there is something that is not.
func (h *host) compactAll() {
	h.c.after(300*time.Millisecond, h.compactAll)
	tail, _, err := h.store.Load(h.id)
	if !h.up || h.view == nil || err != nil || tail.Last <= h.view.LastIndex() {
		return
	}
	keys := compaction.NewBuilder(0, 1<<20)
	entries, err := h.entries(tail.First, tail.Last+1, 1<<30)
	for _, e := range entries {
		if err == nil {
			_, err = keys.Add(e)
		}
	}
	if err == nil {
		h.rewrite(keys.Plan(0, h.view.HighWatermark))
	}
}

// learn reads some entries, and some more later.
func (h *host) learn(k partition.Compact, keys *compaction.Builder, at uint64) {
	h.live(h.c.between(100*time.Microsecond, 20*time.Millisecond), func() {
		full := h.c.chance(0.03) // somebody has all the memory
		if full {
			h.step(partition.Compacted{By: h.by, Err: fault.New(fault.ThrottlingQuotaExceeded, "no memory")})
			return
		}
		if at <= k.Through {
			entries, err := h.entries(at, k.Through+1, 8<<10)
			for _, e := range entries {
				if full, err = keys.Add(e); full || err != nil {
					break
				}
				at = e.Through() + 1
			}
			if err != nil {
				h.meets(err)
				h.step(partition.Compacted{By: h.by, Err: h.told(err)})
				return
			}
		}
		if at <= k.Through && !full {
			h.learn(k, keys, at)
			return
		}
		h.rewrite(keys.Plan(k.Tombstones, k.End))
	})
}

func (h *host) rewrite(plan *compaction.Plan) {
	life, by := h.life, h.by
	k := state.Compaction{Replica: h.id, Through: plan.Through(), Keep: plan.Keep}
	if h.c.o.Break == DropNewest {
		k.Keep = func(e state.Entry) (state.Entry, bool, error) {
			if e.Type == state.EntryRecords && e.Index%7 == 0 {
				return state.Entry{}, false, nil
			}
			return plan.Keep(e)
		}
	}
	h.store.Compact(k, func(r state.CompactionResult, err error) {
		if f := plan.Facts(); f.Dropped > 0 {
			h.c.reached["records-dropped"]++
		}
		if h.up && h.life == life {
			h.live(0, func() {
				h.step(partition.Compacted{
					By: by, Through: r.Through, Facts: plan.Facts(), Before: r.Before, After: r.After, Err: h.told(err),
				})
			})
		}
	})
	h.settle()
}

// scan reads the whole log of some host, now and then.
func (c *Cluster) scan() {
	c.after(c.between(200*time.Millisecond, 1500*time.Millisecond), c.scan)
	h := c.hosts[c.rng.IntN(len(c.hosts))]
	if l := c.leader(); l != nil && c.chance(0.5) {
		h = l
	}
	h.scan()
}

// scan reads the whole log at once, as a reader would that builds a table of it.
func (h *host) scan() {
	if !h.up || h.view == nil {
		return
	}
	v, c := h.view, h.c
	log, whole := h.readFrom(v)
	h.served(log)
	s := scanned{host: h.id, start: v.LogStart, end: v.HighWatermark, strict: v.Ready, table: map[string]string{}}
	for _, r := range log {
		c.history.observe(r)
		s.table = fold(s.table, r)
	}
	if whole {
		c.reached["scan"]++
		c.history.scans = append(c.history.scans, s)
	}
}

// readFrom reads all that a view shows. Damage is an end of it, where there may be some.
func (h *host) readFrom(v *segment.View) (all []seen, whole bool) {
	all = []seen{}
	for at := v.LogStart; at < v.HighWatermark; {
		batches, err := h.readCold(v, at, 16<<10)
		if err != nil {
			if !h.meets(err) {
				h.c.history.fail("P4", "host %d can't read offset %d: %v", h.id, at, err)
			}
			return all, false
		}
		got, next, err := decode(batches, at)
		if err != nil {
			h.c.history.fail("P4", "host %d reads %d records at offset %d: %v", h.id, len(got), at, err)
			return all, false
		}
		if len(batches) == 0 {
			if !h.c.o.Compact {
				h.c.history.fail("P4", "host %d has nothing at offset %d of %d", h.id, at, v.HighWatermark)
			}
			return all, true
		}
		all, at = append(all, got...), next
	}
	return all, true
}

// fold takes a record into a table.
func fold(table map[string]string, s seen) map[string]string {
	if s.deletes {
		delete(table, s.key)
	} else {
		table[s.key] = s.value
	}
	return table
}

// scanned is what a reader of a whole log found.
type scanned struct {
	host       record.ReplicaID
	start, end record.Offset
	strict     bool // a leader's: compaction never looked behind its end
	table      map[string]string
}

// skipped is a stretch of offsets that a consumer of a leader was not given.
type skipped struct {
	from, to, end record.Offset
	at            time.Time
}

// checkCompacted: P4, every record that is left is what was put at its offset, on every replica and over
// time; before compaction the offsets were dense; and the logs end in the same table as if there were no
// compaction.
func (h *History) checkCompacted() {
	all := h.ordered()
	h.checkDense(all, 0)
	want := map[string]string{}
	for _, r := range all {
		if r.offset >= h.start {
			want = fold(want, r)
		}
	}
	for i, log := range h.logs {
		table, last := map[string]string{}, record.Offset(-1)
		for _, r := range log {
			if r.offset <= last || h.final(r.offset) != r {
				h.fail("P4", "log %d holds %+v behind offset %d, what was put there is %+v", i+1, r, last, h.final(r.offset))
				break
			}
			last, table = r.offset, fold(table, r)
		}
		if k, differ := difference(table, want); differ {
			h.fail("P4", "log %d ends with %q for %s, without compaction with %q", i+1, table[k], k, want[k])
		}
	}
	for _, o := range slices.Sorted(maps.Keys(h.observed)) {
		if s := h.observed[o]; h.final(o) != s {
			h.fail("P4", "offset %d was read as %+v, what was put there is %+v", o, s, h.final(o))
			break
		}
	}
	h.checkTables()
	h.checkSkipped()
}

// difference returns a key for which two tables differ.
func difference(a, b map[string]string) (key string, differ bool) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if v, ok := b[k]; !ok || v != a[k] {
			return k, true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[k]; !ok {
			return k, true
		}
	}
	return "", false
}

// ordered is the log in which the order of records is judged.
func (h *History) ordered() []seen {
	if !h.compacts {
		return h.logs[0]
	}
	all := make([]seen, len(h.whole))
	for i := range h.whole {
		all[i] = h.whole[i].seen
	}
	return all
}

// checkTables: P4, who reads a log from its beginning ends with the newest value of each key, and with no key
// that was deleted.
func (h *History) checkTables() {
	for _, s := range h.scans {
		want := map[string]string{}
		later := map[string]bool{} // a newer record of the key came afterwards
		for _, r := range h.whole {
			switch {
			case r.offset >= s.end:
				later[r.key] = true
			case r.offset >= s.start:
				want = fold(want, r.seen)
			}
		}
		for _, k := range sorted(want) {
			if got := s.table[k]; got != want[k] && (s.strict || !later[k]) {
				h.fail("P4", "host %d with the log [%d, %d) has %q for %s, the newest is %q", s.host, s.start, s.end, got, k, want[k])
			}
		}
		for _, k := range sorted(s.table) {
			if _, ok := want[k]; !ok && (s.strict || !later[k]) {
				h.fail("P4", "host %d with the log [%d, %d) has %q for %s, which was deleted", s.host, s.start, s.end, s.table[k], k)
			}
		}
	}
}

// checkSkipped: P4, a consumer of a leader misses only what a newer record of its key replaces, and
// tombstones that are old enough.
func (h *History) checkSkipped() {
	next := map[record.Offset]record.Offset{} // the next record of the same key
	last := map[string]record.Offset{}
	at := map[record.Offset]made{}
	for _, r := range h.whole {
		if o, ok := last[r.key]; ok {
			next[o] = r.offset
		}
		last[r.key], at[r.offset] = r.offset, r
	}
	for _, s := range h.skips {
		for o := s.from; o < s.to; o++ {
			r, ok := at[o]
			n, replaced := next[o]
			switch {
			case !ok || replaced && n < s.end:
			case !r.deletes:
				h.fail("P4", "offset %d, the newest of %s below %d, was not given to a consumer", o, r.key, s.end)
			case s.at.UnixMilli()-r.appendMs < h.deleteMs:
				h.fail("P4", "offset %d deletes %s, and was gone %d ms later", o, r.key, s.at.UnixMilli()-r.appendMs)
			}
		}
	}
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
