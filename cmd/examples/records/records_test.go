package records

import (
	"testing"
	"time"
)

// Goal: every line of the files can be read, in the promised order, and every airport that a flight names is
// there. Method: read all of them.
func TestRecords(t *testing.T) {
	known := map[string]bool{}
	for a := range Airports() {
		known[a.Code] = true
	}
	n, before := 0, time.Time{}
	for f := range Flights() {
		at := f.Scheduled.Add(time.Duration(f.Delay) * time.Minute)
		if at.Before(before) || !known[f.Origin] || !known[f.Destination] {
			t.Fatalf("%v behind %v", f, before)
		}
		n, before = n+1, at
	}
	if n != 20_000 || len(known) != 224 {
		t.Errorf("%d flights, %d airports", n, len(known))
	}
	n, before = 0, time.Time{}
	for e := range Earthquakes() {
		if e.Updated.Before(before) || !e.Time.Before(e.Updated) || e.Network == "" {
			t.Fatalf("%v behind %v", e, before)
		}
		n, before = n+1, e.Updated
	}
	if n != 1679 {
		t.Errorf("%d earthquakes", n)
	}
}
