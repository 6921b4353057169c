package window_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/topology/window"
)

// starts are all windows that hold ms, by First and Advance.
func starts(w window.Windows, ms int64) (all []int64) {
	for s := w.First(ms); s <= ms; s += w.Advance().Milliseconds() {
		all = append(all, s)
	}
	return all
}

// Goal: a time is in exactly the windows that hold it. Method: random windows and times against a search
// through all starts.
func TestFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 50).Draw(t, "size")
		advance := rapid.Int64Range(1, size).Draw(t, "advance")
		ms := rapid.Int64Range(0, 300).Draw(t, "ms")
		w := window.Hopping(time.Duration(size)*time.Millisecond, time.Duration(advance)*time.Millisecond)
		var want []int64
		for s := int64(0); s <= ms; s += advance {
			if ms < s+size {
				want = append(want, s)
			}
		}
		got := starts(w, ms)
		if len(got) != len(want) {
			t.Fatalf("%d of %d by %d: %v, expected %v", ms, size, advance, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%d of %d by %d: %v, expected %v", ms, size, advance, got, want)
			}
		}
	})
}

// Goal: Over, LastOver and LastExpired agree. Method: random windows and stream times; the last start that is
// over is the last multiple of the advance for which Over holds.
func TestOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 20).Draw(t, "size")
		advance := rapid.Int64Range(1, size).Draw(t, "advance")
		grace := rapid.Int64Range(0, 20).Draw(t, "grace")
		extra := rapid.Int64Range(0, 20).Draw(t, "extra")
		at := rapid.Int64Range(-5, 200).Draw(t, "at")
		ms := time.Millisecond
		w := window.Hopping(time.Duration(size)*ms, time.Duration(advance)*ms).Grace(time.Duration(grace) * ms).
			Retention(time.Duration(size+grace+extra) * ms)
		if err := w.Check(); err != nil {
			t.Fatal(err)
		}
		over, expired := int64(-1), int64(-1)
		for s := int64(0); s <= 200; s += advance {
			if w.Over(s, at) {
				over = s
			}
			if at >= s+size+grace+extra {
				expired = s
			}
		}
		if got, ok := w.LastOver(at); ok != (over >= 0) || ok && got != over {
			t.Fatalf("last over at %d: %d %v, expected %d", at, got, ok, over)
		}
		if got, ok := w.LastExpired(at); ok != (expired >= 0) || ok && got != expired {
			t.Fatalf("last expired at %d: %d %v, expected %d", at, got, ok, expired)
		}
	})
}

// Goal: what cannot be is refused. Method: a table of bad windows, and good ones beside them.
func TestCheck(t *testing.T) {
	for name, w := range map[string]window.Windows{
		"zero": {}, "no size": window.Tumbling(0), "no advance": window.Hopping(time.Second, 0),
		"gap":            window.Hopping(time.Second, 2*time.Second),
		"negative grace": window.Tumbling(time.Second).Grace(-1),
		"short":          window.Tumbling(time.Second).Grace(time.Second).Retention(time.Second),
		"microseconds":   window.Tumbling(1500 * time.Microsecond),
	} {
		if w.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	good := window.Hopping(time.Minute, time.Second).Grace(time.Hour).Retention(2 * time.Hour)
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	if w := window.Tumbling(time.Minute).Grace(time.Second); w.Kept() != 61*time.Second || w.Wait() != time.Second {
		t.Errorf("kept %s, grace %s", w.Kept(), w.Wait())
	}
}

// Goal: row keys come back as they went in, and stand in the order of windows, then keys; the mark stands
// behind all. Method: random pairs.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64Range(0, 1<<62).Draw(t, "a"), rapid.Int64Range(0, 1<<62).Draw(t, "b")
		k, l := rapid.SliceOf(rapid.Byte()).Draw(t, "k"), rapid.SliceOf(rapid.Byte()).Draw(t, "l")
		x, y := window.AppendKey(nil, a, k), window.AppendKey([]byte{}, b, l)
		start, key, err := window.SplitKey(x)
		if err != nil || start != a || !bytes.Equal(key, k) {
			t.Fatalf("%x becomes %d %x, %v", x, start, key, err)
		}
		want := bytes.Compare(k, l)
		if a != b {
			want = map[bool]int{true: -1, false: 1}[a < b]
		}
		if got := bytes.Compare(x, y); got != want {
			t.Fatalf("order %d, expected %d", got, want)
		}
		if bytes.Compare(x, window.Mark()) >= 0 {
			t.Fatal("the mark is not behind")
		}
	})
	if _, _, err := window.SplitKey(window.Mark()); err == nil {
		t.Error("the mark is a window")
	}
}

// FuzzSplitKey checks that what is split is put together again as it was.
func FuzzSplitKey(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 'k'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if start, key, err := window.SplitKey(b); err == nil && !bytes.Equal(window.AppendKey(nil, start, key), b) {
			t.Fatalf("%x becomes %d and %x", b, start, key)
		}
	})
}
