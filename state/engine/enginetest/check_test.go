package enginetest

import (
	"testing"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// Goal: the checker sees every kind of difference (its negative control). Method: a store that is right,
// and models that are each wrong in one place.
func TestCheckSeesDifferences(t *testing.T) {
	t.Parallel()
	m := engine.NewMemory(engine.Options{})
	l := NewLog(1, state.ClassLong)
	for _, w := range []state.Write{l.Append(1, some(6, 100)...), l.Carry(1, []byte("row"))} {
		m.Append(l.Class, w, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	m.Flush()
	if err := Check(m, l); err != nil {
		t.Fatalf("the right model: %v", err)
	}
	for name, spoil := range map[string]func(l *Log){
		"tail":        func(l *Log) { l.Tail.Commit++ },
		"a lost row":  func(l *Log) { l.Carry(2, nil) },
		"another row": func(l *Log) { l.Rows[1] = []byte("raw") },
		"lost entry":  func(l *Log) { l.Append(1, Shape{}) },
		"other term":  func(l *Log) { l.Overwrite(5, 2, some(1, 100)...); l.Tail.Term, l.Tail.LastTerm = 1, 1 },
		"shorter":     func(l *Log) { l.Overwrite(5, 1) },
		"trimmed":     func(l *Log) { l.Trim(2) },
		"never there": func(l *Log) { l.ID = 2 },
	} {
		wrong := l.Clone()
		spoil(wrong)
		if Check(m, wrong) == nil {
			t.Errorf("%s: not seen", name)
		}
	}
	for name, s := range map[string]state.LogStore{"seek": badSeek{m}, "time": badTime{m}, "beyond": badEnd{m}} {
		if Check(s, l) == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}

// Goal: the checker sees what a compaction may not do (its negative control): drop an entry without a run,
// keep one that nobody needs, hide one that somebody needs. Method: a store that is right, and models and
// stores that are each wrong in one place.
func TestCheckSeesWrongCompactions(t *testing.T) {
	t.Parallel()
	m := engine.NewMemory(engine.Options{BucketBytes: 10_000})
	l := NewLog(1, state.ClassCompact)
	for range 4 {
		m.Append(l.Class, l.Append(1, some(9, 1000)...), func(error) {})
		m.Flush()
	}
	whole := l.Clone()
	judge := every(4, Whole, Nothing)
	through := uint64(0)
	m.Compact(l.Compact(l.Tail.Last, judge), func(r state.CompactionResult, err error) { through = r.Through })
	m.Flush()
	l.Compacted(through, judge)
	if err := Check(m, l); err != nil || through < 18 {
		t.Fatalf("compacted through %d: %v", through, err)
	}
	for name, j := range map[string]Judge{
		"an entry that should be gone": every(4, Nothing, Nothing),
		"an entry that should be here": every(3, Whole, Nothing),
		"an entry that should be less": every(4, Less, Nothing),
	} {
		wrong := whole.Clone()
		wrong.Compacted(through, j)
		if Check(m, wrong) == nil {
			t.Errorf("%s: not seen", name)
		}
	}
	if Check(m, whole) == nil {
		t.Error("a compaction that nobody asked for: not seen")
	}
	for name, s := range map[string]state.LogStore{"without a run": noRuns{m}, "a run that reaches too far": longRuns{m}} {
		if Check(s, l) == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}
