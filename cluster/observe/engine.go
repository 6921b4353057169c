package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

// groupSeconds are the bounds of the time that the disk took for a group: from a fast disk's sync to one that
// hangs.
var groupSeconds = []float64{
	0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
}

// engineMeter counts what the log store does, by retention class. Classes are a fixed set.
type engineMeter struct {
	classes [state.ClassCount]classMeter
}

// classMeter is one retention class.
type classMeter struct {
	took                    prometheus.Observer
	rows, bytes, slow       prometheus.Counter
	removed, removedBytes   prometheus.Counter
	rewritten, read, copied prometheus.Counter
}

var _ engine.Observer = (*engineMeter)(nil)

// Engine is the observer of the member's log store.
func (m *Metrics) Engine() engine.Observer { return m.engine }

// SlowGroup counts a group for which the disk took far too long.
func (m *Metrics) SlowGroup(c state.Class) { m.engine.classes[c].slow.Inc() }

func newEngineMeter(r *prometheus.Registry) *engineMeter {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "millstream_engine_group_seconds", Help: "Time that the disk took for a group of writes.",
		Buckets: groupSeconds,
	}, []string{"class"})
	r.MustRegister(took)
	named := func(name, help string) *prometheus.CounterVec { return counters(r, name, help, "class") }
	rows := named("millstream_engine_group_rows_total", "Rows of durable groups.")
	bytes := named("millstream_engine_group_bytes_total", "Bytes of the rows of durable groups.")
	slow := named("millstream_engine_slow_groups_total", "Groups for which the disk took a second or more.")
	removed := named("millstream_engine_removed_buckets_total", "Buckets that had nothing alive in them.")
	removedBytes := named("millstream_engine_removed_bytes_total", "Bytes that were freed with removed buckets.")
	rewritten := named("millstream_engine_rewritten_buckets_total", "Buckets that were kept by little.")
	read := named("millstream_engine_rewrite_read_bytes_total", "Bytes of buckets before they were rewritten.")
	copied := named("millstream_engine_rewrite_written_bytes_total", "Bytes of buckets after they were rewritten.")
	m := &engineMeter{}
	for c := range state.ClassCount {
		name := c.String()
		m.classes[c] = classMeter{
			took: took.WithLabelValues(name), rows: rows.WithLabelValues(name), bytes: bytes.WithLabelValues(name),
			slow: slow.WithLabelValues(name), removed: removed.WithLabelValues(name),
			removedBytes: removedBytes.WithLabelValues(name), rewritten: rewritten.WithLabelValues(name),
			read: read.WithLabelValues(name), copied: copied.WithLabelValues(name),
		}
	}
	return m
}

// Committed implements engine.Observer.
func (m *engineMeter) Committed(c state.Class, rows int, bytes int64, took time.Duration) {
	k := &m.classes[c]
	k.took.Observe(took.Seconds())
	k.rows.Add(float64(rows))
	k.bytes.Add(float64(bytes))
}

// BucketRemoved implements engine.Observer.
func (m *engineMeter) BucketRemoved(c state.Class, bytes int64) {
	m.classes[c].removed.Inc()
	m.classes[c].removedBytes.Add(float64(bytes))
}

// BucketRewritten implements engine.Observer.
func (m *engineMeter) BucketRewritten(c state.Class, before, after int64) {
	k := &m.classes[c]
	k.rewritten.Inc()
	k.read.Add(float64(before))
	k.copied.Add(float64(after))
}
