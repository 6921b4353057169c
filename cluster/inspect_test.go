package cluster

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// verified lists what an inspection finds damaged.
func verified(t *testing.T, i *Inspection) (all []DamagedRange) {
	t.Helper()
	if err := i.Verify(t.Context(), func(d DamagedRange) { all = append(all, d) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func inspect(t *testing.T, dir string) *Inspection {
	t.Helper()
	i, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// Goal: damage is named by topic, partition and offsets while no member runs, at the beginning, in the middle
// and at the end of a log, and the log around it can be walked. Method: flip a bit of one value of a member's
// directory; verify; walk; inspect a second time.
func TestInspect(t *testing.T) {
	const size, n = 3000, 30
	for bad, want := range map[record.Offset][2]record.Offset{0: {0, 0}, 11: {11, 11}, n - 1: {n - 1, -1}} {
		t.Run(fmt.Sprint("offset ", bad), func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 0, n, size)
			spoil(t, dir, uint64(bad), size)
			for range 2 {
				i := inspect(t, dir)
				if err := i.MetadataErr(); err != nil {
					t.Fatal(err)
				}
				all := verified(t, i)
				if len(all) != 1 || all[0].Topic != "lines" || all[0].Partition != 0 || all[0].From != want[0] || all[0].To != want[1] {
					t.Errorf("found %+v, want offsets %v", all, want)
				}
				if err := i.Starts("lines", 0); !errors.Is(err, fault.CorruptRecord) {
					t.Errorf("it would start: %v", err)
				}
				walk(t, i, bad, n)
				if err := i.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// walk looks at each entry of "lines": n records, of which one cannot be read.
func walk(t *testing.T, i *Inspection, bad record.Offset, n int) {
	t.Helper()
	at := -1
	for k, p := range i.Partitions() {
		if p.Topic == "lines" {
			at = k
		}
	}
	if at < 0 {
		t.Fatalf("partitions %+v", i.Partitions())
	}
	records, damaged := 0, 0
	visit := func(e state.Entry, err error) bool {
		switch {
		case errors.Is(err, fault.CorruptRecord):
			damaged++
		case err != nil:
			t.Error(err)
		default:
			records += int(e.Next() - e.Base)
		}
		return true
	}
	if err := i.Entries(i.Partitions()[at], 0, visit); err != nil || records != n-1 || damaged != 1 {
		t.Errorf("walked over %d records and %d damaged entries: %v", records, damaged, err)
	}
	records, damaged = 0, 0
	if err := i.Entries(i.Partitions()[at], bad+1, visit); err != nil || records != n-1-int(bad) || damaged > 1 {
		t.Errorf("from behind it, walked over %d records and %d damaged entries: %v", records, damaged, err)
	}
}

// Goal: whoever has no business in a directory is told so. Method: an empty one, one in use, one that is free
// again.
func TestInspectRefuses(t *testing.T) {
	if _, err := Inspect(t.TempDir()); !errors.Is(err, fault.InvalidConfig) {
		t.Errorf("an empty directory: %v", err)
	}
	dir := t.TempDir()
	_, end := open(t, Config{DataDir: dir})
	if _, err := Inspect(dir); !errors.Is(err, fault.PolicyViolation) {
		t.Errorf("a directory in use: %v", err)
	}
	end()
	i := inspect(t, dir)
	if all := verified(t, i); len(all) > 0 {
		t.Errorf("a whole log: %v", all)
	}
	for _, p := range i.Partitions() {
		if err := i.Starts(p.Topic, p.Partition); err != nil {
			t.Errorf("%s does not start: %v", p.Topic, err)
		}
	}
}
