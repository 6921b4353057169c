package join_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/topology/join"
)

// Goal: the two sides see the same pairs, and a record is not over as long as an on-time partner can come.
// Method: random windows and times.
func TestSides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := time.Millisecond
		before := rapid.Int64Range(-20, 50).Draw(t, "before")
		after := rapid.Int64Range(-before, 50).Draw(t, "after")
		grace := rapid.Int64Range(0, 30).Draw(t, "grace")
		w := join.Within(0).Before(time.Duration(before) * ms).After(time.Duration(after) * ms).
			Grace(time.Duration(grace) * ms)
		if err := w.Check(); err != nil {
			t.Fatal(err)
		}
		l, r := w.Left(), w.Right()
		at, u := rapid.Int64Range(100, 200).Draw(t, "left"), rapid.Int64Range(100, 200).Draw(t, "right")
		meet := at-before <= u && u <= at+after
		if fromLeft := at-l.Before <= u && u <= at+l.After; fromLeft != meet {
			t.Fatal("the left side sees another pair")
		}
		if fromRight := u-r.Before <= at && at <= u+r.After; fromRight != meet {
			t.Fatal("the right side sees another pair")
		}
		// The second of a pair comes at most grace behind the highest time so far.
		streamTime := max(at, u) + rapid.Int64Range(0, grace).Draw(t, "delay")
		if second := min(at, u); meet && streamTime <= second+grace && (l.Over(at, streamTime) || r.Over(u, streamTime)) {
			t.Fatal("a record within the grace is late")
		}
		if last := l.LastOver(streamTime); !l.Over(last, streamTime) || l.Over(last+1, streamTime) {
			t.Fatalf("last over at %d is %d", streamTime, last)
		}
	})
	for name, w := range map[string]join.Windows{
		"nobody": join.Within(0).Before(time.Second).After(-2 * time.Second),
		"grace":  join.Within(time.Second).Grace(-1), "microseconds": join.Within(time.Microsecond),
	} {
		if w.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Goal: rows of a key stand together within a segment, in the order of times, and no key is the beginning of
// another; index rows stand behind all of them, in the order of times. Method: random pairs.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layout := join.LayoutFor(time.Duration(rapid.Int64Range(1, 100_000).Draw(t, "retention")) * time.Millisecond)
		ms := rapid.Int64Range(0, 1<<50).Draw(t, "ms")
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		number := rapid.Uint32().Draw(t, "number")
		row := layout.AppendKey(nil, key, ms, number)
		if at, n, err := join.SplitKey(row); err != nil || at != ms || n != number {
			t.Fatalf("%x becomes %d %d, %v", row, at, n, err)
		}
		segment := layout.Segment(ms)
		if !bytes.HasPrefix(row, join.AppendPrefix(nil, segment, key)) {
			t.Fatal("a row is outside of its prefix")
		}
		other := rapid.SliceOf(rapid.Byte()).Draw(t, "other")
		if !bytes.Equal(key, other) && bytes.HasPrefix(row, join.AppendPrefix(nil, segment, other)) {
			t.Fatal("a row is among those of another key")
		}
		if layout.Dead(ms) > segment {
			if next := layout.Segment(ms + 1); next == segment {
				t.Fatal("a segment is dead while it can hold later times")
			}
		}
		if layout.Dead(ms-1) > segment {
			t.Fatal("a segment is dead that holds a later time")
		}
		index := join.AppendIndex(nil, key, ms, number)
		k, at, n, err := join.SplitIndex(index)
		if err != nil || at != ms || n != number || !bytes.Equal(k, key) {
			t.Fatalf("%x becomes %x %d %d, %v", index, k, at, n, err)
		}
		if bytes.Compare(row, index) >= 0 || bytes.Compare(index, join.AppendIndexTime(nil, ms+1)) >= 0 ||
			bytes.Compare(index, join.AppendIndexTime(nil, ms)) < 0 {
			t.Fatal("index rows are in the wrong place")
		}
	})
}

// FuzzSplit checks that no bytes make the decoders panic, and that an index row is put together as it was.
func FuzzSplit(f *testing.F) {
	f.Add(join.AppendIndex(nil, []byte("k"), 5, 1))
	f.Add(join.LayoutFor(time.Second).AppendKey(nil, []byte("k"), 5, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = join.SplitKey(b)
		key, ms, number, err := join.SplitIndex(b)
		if err != nil {
			return
		}
		if k, at, n, err := join.SplitIndex(join.AppendIndex(nil, key, ms, number)); err != nil || at != ms ||
			n != number || !bytes.Equal(k, key) {
			t.Fatalf("%x becomes %x %d %d, %v", b, k, at, n, err)
		}
	})
}
