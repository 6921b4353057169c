package engine

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// looseRows are the rows of a group with a sequence, that says how many before it were not durable.
func looseRows(rng *rand.Rand, g groupRow) []row {
	rows := frameRows(rng, 100+rng.IntN(9000))
	return append(rows, row{groupKey, g.encode()})
}

// walkOf opens a copy of a frame file and walks it. It returns the sequences of the groups that count.
func walkOf(t *testing.T, content []byte) (counted []uint64, f *frameFile) {
	t.Helper()
	name := filepath.Join(t.TempDir(), framesName)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFrameFile(name, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.closeFiles() })
	err = f.walk(bucketOptions{}.standing, func(r frameRow) error {
		if bytes.Equal(r.key, groupKey) {
			g, err := decodeGroup(r.small)
			counted = append(counted, g.sequence)
			return err
		}
		return nil
	})
	if err == nil {
		err = f.resume(f.end, f.number)
	}
	if err != nil {
		t.Fatal(err)
	}
	return counted, f
}

func sequences(to uint64) (all []uint64) {
	for i := range to {
		all = append(all, i+1)
	}
	return all
}

// Goal: of groups that were not durable those count that are whole one behind the other, whatever a power cut took
// of the rest, and what does not count never comes back; all that was durable counts. Method: three durable groups
// and five that are not; lose any of the sectors behind the third; look what is left, cut it off, and go on.
// Control: the same groups without a word of what was not durable.
func TestLooseGroupsAfterPowerCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	control := 0
	for round := range 36 {
		f, silent := newFrames(t), newFrames(t)
		durable := f.end
		var ends []int64
		for i := range uint64(8) {
			g := groupRow{sequence: i + 1}
			if i > 3 {
				g.unsynced = i - 3
			}
			seed := rng.Uint64()
			appendGroup(t, f, looseRows(rand.New(rand.NewPCG(seed, 1)), g))
			appendGroup(t, silent, looseRows(rand.New(rand.NewPCG(seed, 1)), groupRow{sequence: i + 1}))
			if ends = append(ends, f.end); i == 2 {
				durable = f.end
			}
		}
		b, s := content(t, f), content(t, silent)
		want := uint64(3)
		lost := func(lo, hi int64) { // as if never written
			if slices.ContainsFunc(b[lo:hi], func(c byte) bool { return c != 0 }) {
				clear(b[lo:hi])
			}
			if hi <= int64(len(s)) {
				clear(s[lo:hi])
			}
		}
		before := bytes.Clone(b)
		for at := durable; at < f.end; {
			next := min(alignUp(at+1, 512), f.end)
			if rng.IntN(1+round%12) == 0 {
				lost(at, next)
			}
			at = next
		}
		for want < 8 && bytes.Equal(b[ends[want-1]:ends[want]], before[ends[want-1]:ends[want]]) {
			want++
		}
		counted, left := walkOf(t, b)
		if !slices.Equal(counted, sequences(want)) {
			t.Fatalf("round %d: %v count, want %d", round, counted, want)
		}
		if got, _ := walkOf(t, s); len(got) > 0 && !slices.Equal(got, sequences(uint64(len(got)))) {
			control++
		}
		if err := left.cutOff(); err != nil {
			t.Fatal(err)
		}
		appendGroup(t, left, looseRows(rng, groupRow{sequence: want + 1}))
		if counted, _ = walkOf(t, content(t, left)); !slices.Equal(counted, sequences(want+1)) {
			t.Fatalf("round %d: %v count behind the cut, want %d", round, counted, want+1)
		}
	}
	if control == 0 {
		t.Error("a hole between groups was never seen: what is said of them is not needed")
	}
}

// Goal: damage in what was durable is damage, however much behind it was not. Method: lose a group that another
// says was durable, with and without the one behind it; what is behind the hole counts, so that the hole is seen.
func TestLooseGroupsHideNoDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	f := newFrames(t)
	var begins []int64
	for i := range uint64(6) {
		begins = append(begins, f.end)
		g := groupRow{sequence: i + 1}
		if i > 4 { // 1 to 5 were durable when 6 was written, but for the last
			g.unsynced = 1
		}
		appendGroup(t, f, looseRows(rng, g))
	}
	begins = append(begins, f.end)
	for _, c := range []struct {
		lost []int
		want []uint64
	}{{[]int{2}, []uint64{1, 2, 4, 5, 6}}, {[]int{3}, []uint64{1, 2, 3, 5, 6}}, {[]int{4}, []uint64{1, 2, 3, 4}}, {[]int{3, 4}, []uint64{1, 2, 3}}} {
		b := content(t, f)
		for _, i := range c.lost {
			clear(b[begins[i]:begins[i+1]])
		}
		if got, _ := walkOf(t, b); !slices.Equal(got, c.want) {
			t.Errorf("without %v: %v count, want %v", c.lost, got, c.want)
		}
	}
}

// looseWrite is the next write of a replica whose log ends at last: one entry of some bytes.
func looseWrite(id record.ReplicaID, last *uint64, size int, within time.Duration) state.Write {
	*last++
	e := state.Entry{Index: *last, Term: 1, Type: state.EntryRecords, Base: record.Offset(*last), Last: record.Offset(*last)}
	e.Frame = bytes.Repeat([]byte{byte(*last), byte(*last >> 8)}, (state.FrameRoom+size)/2)
	e.Seal()
	return state.Write{
		Replica: id, Tail: state.Tail{First: 1, Last: *last, LastTerm: 1, Term: 1}, Entries: []state.Entry{e},
		Sync: within == 0, Within: within,
	}
}

func appended(t *testing.T, s *Store, c state.Class, w state.Write) {
	t.Helper()
	done := make(chan error, 1)
	s.Append(c, w, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// copyDir copies the directory of a store as it is, without indexes, while somebody has it open.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.Name() == rowsName {
			return fs.SkipDir // it is made again, and changes under our hands
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o750)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// logOf is the last index of a replica, all of whose entries must be whole and what they were.
func logOf(t *testing.T, s *Store, id record.ReplicaID) uint64 {
	t.Helper()
	tail, _, err := s.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Entries(id, 1, tail.Last+1, 1<<30, nil)
	if err != nil || uint64(len(got)) != tail.Last {
		t.Fatalf("replica %d: %d of %d entries, %v", id, len(got), tail.Last, err)
	}
	for i, e := range got {
		if p := e.Payload(); e.Index != uint64(i+1) || p[0] != byte(e.Index) || p[1] != byte(e.Index>>8) {
			t.Fatalf("replica %d: entry %d is another", id, e.Index)
		}
	}
	return tail.Last
}

// Goal: a power cut takes of a relaxed log at most what was not durable yet, from its end on, and it is no damage;
// durable logs lose nothing, in whatever order both were written, and afterwards all goes on. Method: a store with a
// durable and a relaxed log, rolls in between; copies of its directory in which any sectors behind the last durable
// group of the relaxed class are lost; open the copy, look, write, open it again.
func TestPowerCutTakesTheNewestOnly(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, BallastBytes: -1, BucketBytes: 300 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var durable, relaxed uint64
	short := 0
	appended(t, s, state.ClassRelaxed, looseWrite(2, &relaxed, 100, 0))
	for round := range 10 {
		sure, end := relaxed, int64(-1)
		for i := range 3 + rng.IntN(12) {
			if rng.IntN(3) == 0 {
				appended(t, s, state.ClassLong, looseWrite(1, &durable, rng.IntN(4000), 0))
			}
			within := time.Hour
			if i == 0 || rng.IntN(12) == 0 {
				within = 0
			}
			rolled := s.classes[state.ClassRelaxed].active
			appended(t, s, state.ClassRelaxed, looseWrite(2, &relaxed, rng.IntN(9000), within))
			c := s.classes[state.ClassRelaxed]
			if c.loose.groups == 0 {
				sure, end = relaxed, c.active.b.(*frameBucket).frames.end
			} else if c.active != rolled {
				end = -1 // somewhere in the new bucket
			}
		}
		if end < 0 {
			continue
		}
		at := copyDir(t, dir)
		c := s.classes[state.ClassRelaxed]
		name := filepath.Join(at, "relaxed", c.active.id.String(), framesName)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for from := end; from < int64(len(b)); {
			next := min(alignUp(from+1, 512), int64(len(b)))
			if rng.IntN(1+round%8) == 0 {
				clear(b[from:next])
			}
			from = next
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		left := reopened(t, at, durable, sure, relaxed)
		if left < relaxed {
			short++
		}
	}
	if short == 0 {
		t.Error("no power cut took anything")
	}
}

// reopened opens a directory after a power cut and returns where the relaxed log ends.
func reopened(t *testing.T, dir string, durable, sure, relaxed uint64) uint64 {
	t.Helper()
	left := uint64(0)
	for again := range 2 {
		s, err := Open(Options{Dir: dir, BallastBytes: -1, BucketBytes: 300 << 10})
		if err != nil {
			t.Fatal(err)
		}
		if lost := s.Damaged(); len(lost) > 0 {
			t.Fatalf("taken for damage: %+v", lost)
		}
		if got := logOf(t, s, 1); got != durable+uint64(again) {
			t.Fatalf("the durable log ends at %d, want %d", got, durable+uint64(again))
		}
		got := logOf(t, s, 2)
		if again == 0 {
			if left = got; got < sure || got > relaxed {
				t.Fatalf("the relaxed log ends at %d, it was durable to %d and went to %d", got, sure, relaxed)
			}
		} else if got != left+1 {
			t.Fatalf("the relaxed log ends at %d behind %d", got, left)
		}
		last := durable + uint64(again)
		appended(t, s, state.ClassLong, looseWrite(1, &last, 100, 0))
		appended(t, s, state.ClassRelaxed, looseWrite(2, &got, 100, time.Hour))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return left
}
