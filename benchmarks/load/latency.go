package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are the latencies of a run, to three digits: from a microsecond to an hour. It is safe for
// concurrent use.
type Latencies struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// NewLatencies makes an empty one.
func NewLatencies() *Latencies {
	return &Latencies{h: hdrhistogram.New(int64(time.Microsecond), int64(time.Hour), 3)}
}

// Add notes one. What is above an hour counts as an hour.
func (l *Latencies) Add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.h.RecordValue(min(max(int64(d), 0), int64(time.Hour))) // in range, so it has no error
}

// Merge notes all of another one.
func (l *Latencies) Merge(from *Latencies) {
	from.mu.Lock()
	defer from.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.h.Merge(from.h)
}

// Count is how many there are.
func (l *Latencies) Count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.h.TotalCount()
}

// Percentile is the latency that p percent do not exceed; 0 where there is none.
func (l *Latencies) Percentile(p float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.h.ValueAtPercentile(p))
}

// Max is the longest.
func (l *Latencies) Max() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.h.Max())
}
