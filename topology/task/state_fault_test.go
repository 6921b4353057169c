package task_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/task"
)

// restarted runs a world to its rest, lets it stop gracefully and puts more records in.
func restarted(t *testing.T) *stateWorld {
	t.Helper()
	w := newStateWorld(t, nil, keeping)
	w.put("numbers", "k", 10, 1, 5, 3)
	w.start()
	w.advance(time.Second)
	w.step(task.Stop{})
	if w.advance(time.Second); !w.stopped || w.failed != nil {
		t.Fatalf("stopped %t, %v", w.stopped, w.failed)
	}
	w.put("numbers", "k", 20, 9)
	return w
}

// want fails unless the task runs, has these results, and stores that follow their changelogs.
func (w *stateWorld) want(highestOf, counted int64) {
	w.t.Helper()
	if w.failed != nil || !w.running {
		w.t.Fatalf("running %t, failed: %v", w.running, w.failed)
	}
	if h, c := w.value(highest, "k"), w.value(counts, "k"); h != highestOf || c != counted {
		w.t.Errorf("highest %d, counted %d; expected %d and %d", h, c, highestOf, counted)
	}
	w.checkReplay()
	if w.fault != nil {
		w.t.Error(w.fault)
	}
}

// Goal: after a graceful stop a store on disk needs nothing from its changelog, one in memory all of it; nothing
// counts twice. Method: stop, add a record, start.
func TestRestart(t *testing.T) {
	w := restarted(t)
	w.seen.restored = nil
	w.start()
	w.advance(time.Second)
	w.want(9, 4)
	read := map[string]int{}
	for _, r := range w.seen.restored {
		read[r.Store] = r.Records
	}
	if read["highest"] != 0 || read["counts"] != 1 {
		t.Errorf("restored %v", read)
	}
}

// Goal: rows on disk that do not fit their changelog, are damaged, or are of another topology, are given up and
// come back. Method: one of each between two lives.
func TestRowsAreWiped(t *testing.T) {
	for name, harm := range map[string]func(w *stateWorld){
		"the changelog is shorter than the mark": func(w *stateWorld) {
			l := w.log("app-highest-changelog")
			l.batches, l.end = nil, 0
		},
		"the changelog begins behind the mark": func(w *stateWorld) {
			l := w.log("app-highest-changelog")
			l.start, l.end, l.batches = l.end+5, l.end+5, nil
		},
		"damage at open": func(w *stateWorld) {
			first := true
			w.faulty.open = func() error {
				if !first {
					return nil
				}
				first = false
				return fault.New(fault.CorruptRecord, "test")
			}
		},
		"a mark of another build": func(w *stateWorld) {
			db, err := w.states.Open("app/0_0")
			if err == nil {
				err = db.Apply(nil, []byte{8, 99})
			}
			if err == nil {
				err = db.Close()
			}
			if err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := restarted(t)
			harm(w)
			w.start()
			w.advance(time.Second)
			if len(w.seen.wiped) != 1 {
				t.Errorf("wiped: %q", w.seen.wiped)
			}
			w.want(9, 4)
		})
	}
}

// Goal: a full disk is waited out with nothing lost; damage and a broken disk under way end the life, and the next
// goes on. Method: break Apply and Get for a while.
func TestDatabaseFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		code    fault.Code
		get     bool
		crashes int
		wiped   int
	}{
		{"disk full", fault.DiskFull, false, 0, 0},
		{"damaged by a write", fault.CorruptRecord, false, 1, 1},
		{"broken disk", fault.StorageError, false, 1, 0},
		{"damaged when read", fault.CorruptRecord, true, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := restarted(t)
			left := 2
			if c.crashes > 0 {
				left = 1
			}
			fails := func() error {
				if left--; left < 0 {
					return nil
				}
				return fault.New(c.code, "test")
			}
			if c.get {
				w.faulty.get = fails
			} else {
				w.faulty.apply = fails
			}
			w.start()
			w.advance(time.Second)
			if w.crashes != c.crashes || len(w.seen.wiped) != c.wiped {
				t.Errorf("%d lives ended, wiped %q", w.crashes, w.seen.wiped)
			}
			counted := int64(4)
			if c.crashes > 0 && !c.get {
				counted = 5 // the changelog had it already
			}
			w.want(9, counted)
		})
	}
}

// Goal: a database that an earlier life still holds is waited for, and not for ever. Method: hold it, let go; hold
// it for good.
func TestRowsInUse(t *testing.T) {
	w := restarted(t)
	db, err := w.states.Open("app/0_0")
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	if w.advance(2 * time.Second); w.running || w.failed != nil {
		t.Fatalf("running %t, failed: %v", w.running, w.failed)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w.advance(5 * time.Second)
	w.want(9, 4)
	w = restarted(t)
	w.faulty.open = func() error { return fault.New(fault.StorageError, "in use") }
	w.start()
	if w.advance(time.Minute); w.failed == nil || !strings.Contains(w.failed.Error(), "in use") {
		t.Errorf("failed: %v", w.failed)
	}
}

// Goal: what a changelog does not take stops the task, and neither rows nor offsets go on without it: too large a
// row, and a newer life. Method: refuse the next send to the changelog, whatever the policy of the node.
func TestChangelogRefuses(t *testing.T) {
	for _, code := range []fault.Code{fault.RecordTooLarge, fault.ProducerFenced} {
		w := restarted(t)
		w.refuse = func(s task.Send) error {
			if s.Topic != "app-highest-changelog" {
				return nil
			}
			return fault.New(code, "test")
		}
		w.start()
		w.advance(time.Minute)
		if fault.CodeOf(w.failed) != code || !strings.Contains(w.failed.Error(), "store highest") {
			t.Errorf("failed: %v", w.failed)
		}
		if w.offsets["numbers"] != 3 {
			t.Errorf("committed %d", w.offsets["numbers"])
		}
		w.refuse = nil
		w.failed = nil
		w.start()
		w.advance(time.Second)
		if w.value(highest, "k") != 9 || w.failed != nil {
			t.Errorf("then the highest is %d, failed: %v", w.value(highest, "k"), w.failed)
		}
	}
}

// Goal: a life that has been overtaken before it begins ends at its fence. Method: a higher fence stands.
func TestFencedFromTheStart(t *testing.T) {
	w := restarted(t)
	w.log("app-counts-changelog").fence = 1000
	w.start()
	if w.advance(time.Minute); fault.CodeOf(w.failed) != fault.ProducerFenced {
		t.Errorf("failed: %v", w.failed)
	}
}

// Goal: a restore that is cut off goes on where it was, within bounded memory, and tells how far it is. Method:
// many rows, small answers, a crash after some of them with the rows on disk lost before.
func TestRestoreIsInterrupted(t *testing.T) {
	w := newStateWorld(t, nil, keeping)
	w.tune = func(c *task.Config) { c.MaxFetchBytes, c.BatchBytes = 200, 150 }
	const rows = 200
	for i := range rows {
		w.put("numbers", string(rune('a'+i%26))+string(rune('a'+i/26)), 10, int64(i))
	}
	w.start()
	w.advance(time.Second)
	_ = w.core.Close()
	if err := w.states.Wipe("app/0_0"); err != nil {
		t.Fatal(err)
	}
	fetched := 0
	w.crashAt = func(event string) bool {
		if event == "task.Fetched" {
			fetched++
		}
		return fetched == 40
	}
	w.start()
	w.advance(time.Second)
	var begun []record.Offset
	for _, r := range w.seen.restored {
		if r.Store == "highest" && r.Records == 0 {
			begun = append(begun, r.From)
		}
	}
	if n := len(begun); !w.crashed || n < 2 || begun[n-2] != 0 || begun[n-1] == 0 || begun[n-1] >= rows {
		t.Errorf("crashed %t, restored from %v", w.crashed, begun)
	}
	if w.checkReplay(); w.fault != nil {
		t.Error(w.fault)
	}
	if got := len(w.kept("highest")); got != rows {
		t.Errorf("%d rows of %d came back", got, rows)
	}
}

// Goal: an input that was made anew is read from its beginning, and the rows stay; a mark counts only where it
// fits. Method: replace the input between two lives.
func TestInputIsMadeAnew(t *testing.T) {
	w := restarted(t)
	w.logs["numbers"] = nil
	delete(w.offsets, "numbers")
	w.put("numbers", "k", 30, 2)
	w.start()
	w.advance(time.Second)
	w.want(5, 4)
	if w.offsets["numbers"] != 1 {
		t.Errorf("committed %d", w.offsets["numbers"])
	}
}

// Goal: what is applied and not committed is not done again: input goes on at the mark. Method: forget the commit
// between two lives.
func TestMarkIsAheadOfTheCommit(t *testing.T) {
	w := restarted(t)
	w.offsets["numbers"] = 1
	w.start()
	w.advance(time.Second)
	w.want(9, 4)
	if w.offsets["numbers"] != 4 {
		t.Errorf("committed %d", w.offsets["numbers"])
	}
}
