package statetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// Subject is an implementation under test.
type Subject struct {
	// Open returns databases, none yet. It closes them when the test ends.
	Open func(t testing.TB) state.States

	// Crash stands for the end of the process: it returns what the next one finds. s is not used any more.
	Crash func(t testing.TB, s state.States) state.States

	// Brief leaves out the random sequences, which take longest.
	Brief bool
}

// Run runs the whole suite.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"Model", testModel}, {"Marks", testMarks}, {"LongValues", testLongValues}, {"Refusals", testRefusals},
		{"OneState", testOneState}, {"ApplyWithinRange", testApplyWithinRange}, {"ReadersAndWriter", testReadersAndWriter},
		{"Tasks", testTasks}, {"Closed", testClosed},
	} {
		if c.name == "Model" && s.Brief {
			continue
		}
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.run(t, s) })
	}
}

func open(t testing.TB, s state.States, task string) state.StateDB {
	t.Helper()
	db, err := s.Open(task)
	if err != nil {
		t.Fatalf("open %s: %v", task, err)
	}
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Goal: any sequence of Apply, Get, Range, reopen and crash equals a map. Method: rapid draws keys from few, so
// that they meet again; after each step the database is compared with the model.
func testModel(t *testing.T, s Subject) {
	keys := rapid.SampledFrom([]string{"a", "aa", "aaa", "b", "\x00", "\xff", "\xff\xff", "a\x00", "bb", "c", strings.Repeat("k", 300)})
	values := rapid.SampledFrom([]string{"", "x", "yy", strings.Repeat("v", 5000), strings.Repeat("w", 70_000)})
	rapid.Check(t, func(rt *rapid.T) {
		states, m := s.Open(t), &Model{}
		db := open(t, states, "app/0_0")
		check := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"apply", "apply", "apply", "get", "range", "reopen", "crash"}).Draw(rt, "step") {
			case "apply":
				rows := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) state.StateRow {
					r := state.StateRow{Key: []byte(keys.Draw(rt, "key"))}
					if rapid.IntRange(0, 3).Draw(rt, "delete") > 0 {
						r.Value = []byte(values.Draw(rt, "value"))
					}
					return r
				}), 0, 8).Draw(rt, "rows")
				mark := []byte(rapid.StringN(0, 5, -1).Draw(rt, "mark"))
				check(db.Apply(rows, mark))
				m.Apply(rows, mark)
			case "get":
				key := keys.Draw(rt, "get")
				want, ok := m.Rows[key]
				check(checkGet(db, []byte(key), want, ok))
			case "range":
				lo, hi := []byte(keys.Draw(rt, "lo")), []byte(keys.Draw(rt, "hi"))
				if rapid.Bool().Draw(rt, "to the end") {
					hi = nil
				}
				check(CheckRange(db, m, lo, hi, rapid.Bool().Draw(rt, "reverse")))
			case "reopen":
				check(db.Close())
				db = open(t, states, "app/0_0")
			case "crash":
				states = s.Crash(t, states)
				db = open(t, states, "app/0_0")
			}
			check(Check(db, m))
		}
		check(states.Close())
	})
}

// Goal: the mark is that of the last Apply, also where it is empty or there are no rows, and outlives Close and a
// crash; an empty database has none. Method: each in turn.
func testMarks(t *testing.T, s Subject) {
	states := s.Open(t)
	db := open(t, states, "t")
	must(t, Check(db, &Model{}))
	must(t, db.Close())
	db = open(t, states, "t")
	if db.Mark() != nil {
		t.Fatal("a database that nothing was applied to has a mark")
	}
	for i, mark := range []string{"one", "", "three"} {
		must(t, db.Apply(nil, []byte(mark)))
		if i == 1 {
			states = s.Crash(t, states)
		} else {
			must(t, db.Close())
		}
		db = open(t, states, "t")
		must(t, Check(db, &Model{Mark: []byte(mark)}))
	}
	mark := []byte("kept")
	must(t, db.Apply(nil, mark))
	mark[0] = 'X'
	must(t, Check(db, &Model{Mark: []byte("kept")}))
}

// Goal: long values come back whole after they were replaced by longer and shorter ones and deleted, also within
// one Apply. Method: sizes around what an implementation may split at, against the model, and after a reopen.
func testLongValues(t *testing.T, s Subject) {
	states := s.Open(t)
	db, m := open(t, states, "t"), &Model{}
	row := func(key string, n int) state.StateRow {
		if n < 0 {
			return state.StateRow{Key: []byte(key)}
		}
		return state.StateRow{Key: []byte(key), Value: bytes.Repeat([]byte{byte('a' + n%26)}, n)}
	}
	for i, rows := range [][]state.StateRow{
		{row("a", 10), row("b", 64<<10), row("c", 64<<10+1)},
		{row("a", 300_000), row("b", 1<<20), row("c", 5)},
		{row("a", 100_000), row("b", -1), row("d", 200_000), row("d", 70_000), row("e", 70_000), row("e", 3)},
		{row("a", -1), row("a", 200_000), row("d", 3<<20), row("f", 128<<10), row("f", -1)},
		{row("a", 4), row("d", 0), row("c", state.MaxRowValueBytes)},
	} {
		must(t, db.Apply(rows, []byte{byte(i)}))
		m.Apply(rows, []byte{byte(i)})
		must(t, Check(db, m))
		must(t, db.Close())
		db = open(t, states, "t")
		must(t, Check(db, m))
	}
}

// Goal: what a database cannot take is refused, and nothing of it is applied. Method: a good row beside a bad one.
func testRefusals(t *testing.T, s Subject) {
	states := s.Open(t)
	db := open(t, states, "t")
	good := state.StateRow{Key: []byte("good"), Value: []byte("v")}
	for _, c := range []struct {
		bad  state.StateRow
		want fault.Code
	}{
		{state.StateRow{Value: []byte("v")}, fault.InvalidRequest},
		{state.StateRow{Key: make([]byte, state.MaxRowKeyBytes+1)}, fault.RecordTooLarge},
		{state.StateRow{Key: []byte("k"), Value: make([]byte, state.MaxRowValueBytes+1)}, fault.RecordTooLarge},
	} {
		if err := db.Apply([]state.StateRow{good, c.bad}, nil); fault.CodeOf(err) != c.want {
			t.Errorf("%d and %d bytes: %v, want %v", len(c.bad.Key), len(c.bad.Value), err, c.want)
		}
	}
	must(t, Check(db, &Model{}))
	longest := state.StateRow{Key: bytes.Repeat([]byte("k"), state.MaxRowKeyBytes), Value: make([]byte, 100_000)}
	m := &Model{}
	m.Apply([]state.StateRow{longest}, nil)
	must(t, db.Apply([]state.StateRow{longest}, nil))
	must(t, Check(db, m))
}

// rowsOf is n rows that all say v.
func rowsOf(n int, v string) []state.StateRow {
	var rows []state.StateRow
	for i := range n {
		rows = append(rows, state.StateRow{Key: fmt.Appendf(nil, "%06d", i), Value: []byte(v)})
	}
	return rows
}

// Goal: a walk is over one state, whatever is applied meanwhile. Method: while a walk stands at each of some rows,
// all rows are replaced, some deleted and others added; the walk sees what was there when it began.
func testOneState(t *testing.T, s Subject) {
	db := open(t, s.Open(t), "t")
	for _, reverse := range []bool{false, true} {
		m := &Model{}
		rows := rowsOf(2000, "before")
		must(t, db.Apply(rows, nil))
		m.Apply(rows, nil)
		n := 0
		var keys []string
		must(t, db.Range(nil, nil, reverse, func(key, value []byte) bool {
			if string(value) != "before" {
				t.Fatalf("row %s says %s", key, value)
			}
			keys = append(keys, string(key))
			if n++; n%500 == 1 {
				change := append(rowsOf(2000, fmt.Sprintf("after %d", n)), state.StateRow{Key: []byte("001000")},
					state.StateRow{Key: fmt.Appendf(nil, "%06d-%d", n, n), Value: []byte("new")})
				must(t, db.Apply(change, nil))
			}
			return true
		}))
		want := m.Between(nil, nil)
		if reverse {
			slices.Reverse(want)
		}
		if !slices.Equal(keys, want) {
			t.Fatalf("reverse %v: %d rows, not the %d of one state", reverse, len(keys), len(want))
		}
		var gone []state.StateRow
		must(t, db.Range(nil, nil, false, func(key, _ []byte) bool {
			gone = append(gone, state.StateRow{Key: bytes.Clone(key)})
			return true
		}))
		must(t, db.Apply(gone, nil))
	}
}

// Goal: fn may read and write the database. Method: it deletes each row it is shown, and looks it up.
func testApplyWithinRange(t *testing.T, s Subject) {
	db := open(t, s.Open(t), "t")
	must(t, db.Apply(rowsOf(50, "v"), nil))
	n := 0
	must(t, db.Range(nil, nil, false, func(key, _ []byte) bool {
		n++
		must(t, db.Apply([]state.StateRow{{Key: key}}, nil))
		must(t, checkGet(db, key, "", false))
		return true
	}))
	if n != 50 {
		t.Fatalf("%d rows", n)
	}
	must(t, Check(db, &Model{Mark: []byte{}}))
}

// Goal: readers never see half an Apply, and never a state that goes back. Method: a writer replaces all rows with
// rising numbers; readers walk and get beside it.
func testReadersAndWriter(t *testing.T, s Subject) {
	db := open(t, s.Open(t), "t")
	const rows, rounds = 300, 60
	must(t, db.Apply(rowsOf(rows, "000000"), nil))
	var applied atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for last := ""; ; {
				select {
				case <-stop:
					return
				default:
				}
				floor := fmt.Sprintf("%06d", applied.Load())
				var first string
				err := db.Range(nil, nil, false, func(key, value []byte) bool {
					if first == "" {
						first = string(value)
					}
					if string(value) != first {
						t.Errorf("%s and %s in one walk", first, value)
					}
					return true
				})
				got, _, err2 := db.Get(nil, []byte("000007"))
				if err != nil || err2 != nil || first < last || first < floor || string(got) < first {
					t.Errorf("%v, %v: %s after %s, then %s; %s was applied", err, err2, first, last, got, floor)
					return
				}
				last = string(got)
			}
		})
	}
	for i := 1; i <= rounds; i++ {
		must(t, db.Apply(rowsOf(rows, fmt.Sprintf("%06d", i)), nil))
		applied.Store(int64(i))
	}
	close(stop)
	wg.Wait()
}

// Goal: tasks are apart, open once, listed by name, and wiped alone. Method: names that a file system could mix
// up.
func testTasks(t *testing.T, s Subject) {
	states := s.Open(t)
	names := []string{"app/0_1", "app%2F0_1", "app/0_10", "..", "App/0_1", strings.Repeat("long", 70) + "/0_1", "ä/0_0"}
	slices.Sort(names)
	for _, n := range names {
		must(t, open(t, states, n).Apply([]state.StateRow{{Key: []byte("name"), Value: []byte(n)}}, []byte(n)))
	}
	if _, err := states.Open(names[0]); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("open twice: %v", err)
	}
	if err := states.Wipe(names[0]); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("wipe what is open: %v", err)
	}
	states = s.Crash(t, states)
	for i, n := range names {
		db := open(t, states, n)
		m := &Model{}
		m.Apply([]state.StateRow{{Key: []byte("name"), Value: []byte(n)}}, []byte(n))
		must(t, Check(db, m))
		if i%2 == 0 {
			must(t, db.Close())
			must(t, states.Wipe(n))
		}
	}
	infos, err := states.List()
	must(t, err)
	for i, info := range infos {
		if info.Task != names[2*i+1] || !info.Open || info.Bytes <= 0 {
			t.Errorf("listed %+v, want %s", info, names[2*i+1])
		}
	}
	if len(infos) != len(names)/2 {
		t.Errorf("%d are listed, want %d", len(infos), len(names)/2)
	}
	must(t, states.Wipe("never heard of"))
	must(t, Check(open(t, states, names[0]), &Model{}))
}

// Goal: after Close every call is refused, a walk that is under way ends, and closing again is nothing. Method:
// Close beside a walk that waits for it; then all calls, of a database and of all of them.
func testClosed(t *testing.T, s Subject) {
	states := s.Open(t)
	db := open(t, states, "t")
	must(t, db.Apply(rowsOf(100, "v"), nil))
	closed := make(chan error, 1)
	n := 0
	err := db.Range(nil, nil, false, func(key, _ []byte) bool {
		if n++; n == 1 {
			go func() { closed <- db.Close() }()
		}
		for n == 1 { // until Close has begun
			if _, _, err := db.Get(nil, key); err != nil {
				break
			}
		}
		return true
	})
	if fault.CodeOf(err) != fault.Closing || n != 1 {
		t.Fatalf("%d rows of a walk into Close: %v", n, err)
	}
	must(t, <-closed)
	must(t, db.Close())
	_, _, err = db.Get(nil, []byte("000001"))
	for _, err := range []error{err, db.Apply(nil, nil), db.Range(nil, nil, false, nil)} {
		if fault.CodeOf(err) != fault.Closing {
			t.Errorf("after Close: %v", err)
		}
	}
	again := open(t, states, "t")
	must(t, states.Close())
	must(t, states.Close())
	must(t, again.Close())
	if err := again.Apply(nil, nil); fault.CodeOf(err) != fault.Closing {
		t.Errorf("after Close of all: %v", err)
	}
	if _, err := states.Open("t"); fault.CodeOf(err) != fault.Closing {
		t.Errorf("open after Close of all: %v", err)
	}
}
