package statedb

import (
	"sync"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// What stays free on any volume: Badger writes through mappings, in its own time too, when it sorts what was
// written. A disk that is full would kill the process, and again at every start.
const (
	leastFree    = 96 << 20
	writtenTimes = 4 // bytes that may be taken for one that is applied: its log, its table, tables merged later
)

// A figure of the volume is kept for a moment: asking costs more than a small Apply.
const (
	keepFigure  = 5 * time.Millisecond
	keepWritten = 8 << 20 // … or until this much was written
)

// space watches the free bytes of the volume for all databases.
type space struct {
	measure func() (free, total int64, _ error)
	now     func() time.Time

	mu          sync.Mutex
	at          time.Time
	known       bool
	free, total int64
	written     int64
}

// take refuses n bytes for which there is no room beside what has to stay free: 2 % of the volume, and what all
// databases have in memory, held bytes. It recovers by itself.
func (sp *space) take(n, held int64) error {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	now := sp.now()
	if age := now.Sub(sp.at); !sp.known || age < 0 || age >= keepFigure || sp.written >= keepWritten {
		free, total, err := sp.measure()
		if err != nil {
			sp.known = false
			return fault.New(fault.DiskFull, "free space cannot be measured: %w", err).WithHint("check the data volume")
		}
		sp.at, sp.free, sp.total, sp.written, sp.known = now, free, total, 0, true
	}
	need := leastFree + sp.total/50 + held + writtenTimes*n
	if free := sp.free - writtenTimes*sp.written; free < need {
		return fault.New(fault.DiskFull, "%d bytes are free on the data volume, %d are needed", free, need).
			WithHint("make room on the data volume, or shorten the retention of topics; reads go on")
	}
	sp.written += n
	return nil
}
