package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: the volume is asked some hundred times a second at the most, and what is written in between counts
// against the watermark at once. Method: a volume and a clock of the test's own.
func TestFigureOfTheVolume(t *testing.T) {
	t.Parallel()
	const total = 10 << 30
	free, asked, now := int64(5<<30), 0, time.UnixMilli(1000)
	var broken error
	sp := &space{
		keep: keepFigure, now: func() time.Time { return now },
		measure: func() (int64, int64, error) { asked++; return free, total, broken },
	}
	for range 100 {
		if err := sp.check(groupSize{}); err != nil || sp.left() != free-watermark(total) {
			t.Fatalf("%v, %d left", err, sp.left())
		}
	}
	if asked != 1 {
		t.Fatalf("asked %d times", asked)
	}
	now = now.Add(keepFigure)
	if sp.left(); asked != 2 {
		t.Fatalf("asked %d times after the figure was out of date", asked)
	}
	free = watermark(total) + 6<<20
	sp.forget()
	for n := int64(0); n < 2; n++ { // what a group needs counts before it is there
		if err := sp.check(groupSize{}); err != nil {
			t.Fatalf("group %d: %v", n, err)
		}
		sp.took(1 << 20)
	}
	if err := sp.check(groupSize{valueBytes: groupValueBytes + 1<<20}); fault.CodeOf(err) != fault.DiskFull || asked != 3 {
		t.Fatalf("beyond the watermark: %v, asked %d times", err, asked)
	}
	sp.took(keepWritten)
	if sp.left(); asked != 4 {
		t.Fatalf("a figure was kept over %d bytes written", keepWritten)
	}
	now = now.Add(-time.Hour)
	if sp.left(); asked != 5 {
		t.Fatal("a figure of the future was kept")
	}
	now, broken = now.Add(keepFigure), errors.New("injected")
	for range 2 {
		if err := sp.check(groupSize{}); fault.CodeOf(err) != fault.DiskFull || !sp.atFloor() || sp.left() != 0 {
			t.Fatalf("a volume that cannot be asked: %v", err)
		}
	}
	broken = nil
	if err := sp.check(groupSize{}); err != nil {
		t.Fatalf("it can be asked again: %v", err)
	}
}
