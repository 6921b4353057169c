package cluster

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millstream-io/millstream/cluster/observe"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

const (
	slowGroup = time.Second      // a group that takes the disk longer is slow
	slowQuiet = time.Minute      // between two lines in the log
	slowLasts = 30 * time.Second // how long a slow group is told of
)

// diskWatch hears of each group of writes, counts it, and says when the disk is slow. It is safe for
// concurrent use.
type diskWatch struct {
	engine.Observer // counts
	metrics         *observe.Metrics
	log             *slog.Logger
	now             func() time.Time

	mu     sync.Mutex // taken for slow groups only
	last   time.Time  // a slow group
	logged time.Time
	what   string
}

func newDiskWatch(m *observe.Metrics, log *slog.Logger, now func() time.Time) *diskWatch {
	return &diskWatch{Observer: m.Engine(), metrics: m, log: log, now: now}
}

// Committed implements engine.Observer.
func (d *diskWatch) Committed(c state.Class, rows int, bytes int64, took time.Duration) {
	d.Observer.Committed(c, rows, bytes, took)
	if took < slowGroup {
		return
	}
	d.metrics.SlowGroup(c)
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = now
	d.what = fmt.Sprintf("the disk is slow: it took %s for %d bytes of class %s", took.Round(time.Millisecond), bytes, c)
	if !d.logged.IsZero() && now.Sub(d.logged) < slowQuiet {
		return
	}
	d.logged = now
	d.log.Warn("disk slow", "class", c.String(), "took", took, "bytes", bytes)
}

// notes says that the disk is slow while it is.
func (d *diskWatch) notes() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last.IsZero() || d.now().Sub(d.last) > slowLasts {
		return nil
	}
	return []string{d.what}
}
