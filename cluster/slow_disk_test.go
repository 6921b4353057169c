package cluster

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/observe"
	"github.com/millstream-io/millstream/state"
)

// Goal: a slow disk is counted each time, logged once a minute, told while it lasts and not longer; a quick
// one is not told. Method: groups of several times on a clock of the test.
func TestSlowDisk(t *testing.T) {
	now := time.Unix(1000, 0)
	var log journal
	d := newDiskWatch(observe.New(observe.Options{}), slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	for _, step := range []struct {
		after  time.Duration
		took   time.Duration
		logged int
		noted  bool
	}{
		{0, 10 * time.Millisecond, 0, false},
		{0, slowGroup, 1, true},
		{time.Second, 3 * time.Second, 1, true},
		{slowLasts, time.Millisecond, 1, true},
		{time.Second, time.Millisecond, 1, false},
		{slowQuiet, 2 * time.Second, 2, true},
	} {
		now = now.Add(step.after)
		d.Committed(state.ClassLong, 5, 1000, step.took)
		if n := log.count("disk slow"); n != step.logged {
			t.Errorf("%+v: %d lines:\n%s", step, n, log.text.String())
		}
		if notes := d.notes(); (len(notes) == 1) != step.noted {
			t.Errorf("%+v: notes %v", step, notes)
		}
	}
	if !strings.Contains(d.notes()[0], "2s for 1000 bytes of class long") {
		t.Errorf("note %q", d.notes())
	}
}
