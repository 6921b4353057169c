package enginetest

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// Goal: whatever is written, truncated, trimmed, given to followers as runs, moved, compacted, rewritten,
// merged and opened again, in whatever order, the store answers as the models do. Method: three logs that
// share buckets of two classes, per run; compactions with random verdicts.
func testCompactionModel(t *testing.T, s Subject) {
	seen := &counter{}
	b := open(t, s, engine.Options{BucketBytes: 128 << 10, Observer: seen})
	id := record.ReplicaID(0)
	most := 30
	if s.Slow {
		most = 8
	}
	changed, tries, broken := 0, 0, false
	rapid.Check(t, func(r *rapid.T) {
		if tries++; s.Slow && tries > 15 && !broken {
			return // the store in memory tries all
		}
		defer func() { broken = broken || r.Failed() }()
		var ls []*Log
		for range 3 {
			id++
			l := NewLog(id, state.ClassCompact)
			ls = append(ls, l)
			b.put(l.Class, l.Append(1, some(8, 3000)...))
		}
		term := uint64(1)
		for range rapid.IntRange(3, most).Draw(r, "steps") {
			l := ls[rapid.IntRange(0, len(ls)-1).Draw(r, "log")]
			term += rapid.Uint64Range(0, 1).Draw(r, "term")
			switch rapid.IntRange(0, 12).Draw(r, "what") {
			case 0:
				b.reclaim()
			case 1:
				l.Class = state.ClassCompact + state.ClassLong - l.Class
			case 2:
				b.put(l.Class, l.Trim(rapid.Uint64Range(l.Tail.First, l.Tail.Last+1).Draw(r, "first")))
			case 3, 4:
				b.put(l.Class, l.randomRun(r, term))
			case 5, 6, 7:
				changed += b.randomCompactions(r, ls)
			default:
				b.put(l.Class, l.random(r, term))
			}
		}
		if rapid.IntRange(0, 9).Draw(r, "reopen") == 0 {
			b.reopen()
		}
		changed += b.randomCompactions(r, ls)
		for _, l := range ls {
			if err := Check(b.store, l); err != nil {
				r.Fatal(err)
			}
		}
		if found, err := b.verify(t.Context()); err != nil || len(found) > 0 {
			r.Fatalf("a walk found %+v %v", found, err)
		}
		for _, l := range ls { // the next run has the buckets to itself
			b.put(l.Class, l.Reset(l.Tail.Last+2, term))
		}
	})
	t.Logf("%d entries compacted, %d buckets rewritten, %d removed", changed, seen.rewritten.Load(), seen.removed.Load())
	if changed == 0 || seen.rewritten.Load() == 0 {
		t.Fatal("nothing was compacted")
	}
}

// randomRun adds a run behind some entry of the log.
func (l *Log) randomRun(r *rapid.T, term uint64) state.Write {
	n := rapid.IntRange(1, 9).Draw(r, "run")
	if l.Tail.Last < l.Tail.First {
		return l.AppendRun(term, n)
	}
	return l.OverwriteRun(rapid.Uint64Range(l.Tail.First, l.Tail.Last).Draw(r, "keep"), term, n)
}

// randomCompactions compacts some of the logs in one pass and tells the models. It returns how many entries
// changed.
func (b *bench) randomCompactions(r *rapid.T, ls []*Log) int {
	type one struct {
		l *Log
		j Judge
		c *compacting
	}
	var all []one
	salt := rapid.Uint64Range(0, 1<<20).Draw(r, "salt")
	for _, l := range ls {
		if l.Tail.Last < l.Tail.First || rapid.IntRange(0, 3).Draw(r, "compact") == 0 {
			continue
		}
		often := rapid.Uint64Range(1, 4).Draw(r, "often")
		j := func(e state.Entry) Verdict {
			h := (e.Index*2654435761 + salt) >> 5
			if h%often == 0 {
				return Whole
			}
			return Verdict(1 + h/often%2)
		}
		k := l.Compact(rapid.Uint64Range(l.Tail.First, l.Tail.Last).Draw(r, "through"), j)
		all = append(all, one{l, j, b.compact(k)})
	}
	b.reclaim()
	changed := 0
	for _, o := range all {
		if err := o.c.wait(); err != nil {
			r.Fatalf("compact replica %d: %v", o.l.ID, err)
		}
		before := len(o.l.Entries)
		o.l.Compacted(o.c.result.Through, o.j)
		changed += before - len(o.l.Entries)
		if err := Check(b.store, o.l); err != nil {
			r.Fatal(err)
		}
	}
	return changed
}
