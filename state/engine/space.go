package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/freespace"
)

// smallestWatermark is the least that stays free on any volume when records are written; between it and the
// floor only small writes without records pass.
const (
	smallestWatermark = 64 << 20
	floorBytes        = 4 << 20
	smallWrite        = 64 << 10
)

// space watches the free bytes of the volume. Badger writes the index through mappings: a disk that is full would
// kill the process, and again at every start, so writes are refused well before. Reads go on.
type space struct {
	measure func() (free, total int64, _ error)
	now     func() time.Time
	keep    time.Duration // how long a figure is good for; 0: it is measured each time
	ballast string        // path of the ballast file; "" for none
	bytes   int64         // of the ballast

	mu      sync.Mutex
	missing bool // the ballast was given up to start, and is made again when there is room

	lastMu sync.Mutex
	last   figure
}

// figure is what the volume said at one time, and what the store has written since.
type figure struct {
	at          time.Time
	free, total int64
	written     int64
}

// A figure is asked for with each group and each batch, and asking the volume costs more than a small group. So
// one is kept for a moment, and what the store writes in it is taken off, with what Badger may need for it: its
// write-ahead log and tables.
const (
	keepFigure   = 5 * time.Millisecond
	keepWritten  = 8 << 20 // … or until this much was written, should the clock stand still
	writtenTimes = 3
)

// look returns what is free, at the most.
func (sp *space) look() (free, total int64, err error) {
	sp.lastMu.Lock()
	defer sp.lastMu.Unlock()
	now, f := sp.now(), &sp.last
	if age := now.Sub(f.at); f.total == 0 || age < 0 || age >= sp.keep || f.written >= keepWritten {
		if free, total, err = sp.measure(); err != nil {
			f.total = 0
			return 0, 0, err
		}
		*f = figure{at: now, free: free, total: total}
	}
	return f.free - writtenTimes*f.written, f.total, nil
}

// forget has the volume asked again: files were made or removed.
func (sp *space) forget() {
	sp.lastMu.Lock()
	defer sp.lastMu.Unlock()
	sp.last = figure{}
}

// took is told of bytes that were written, or are about to be.
func (sp *space) took(n int64) {
	sp.lastMu.Lock()
	defer sp.lastMu.Unlock()
	sp.last.written += n
}

// openSpace measures the volume, fills the options that depend on its size, and gives the ballast up where
// the disk is too full to start without.
func openSpace(o *Options) (*space, error) {
	sp := &space{measure: o.Faults.Space, now: o.Now}
	if sp.measure == nil {
		sp.measure = func() (int64, int64, error) { return freespace.Of(o.Dir) }
		sp.keep = keepFigure
	}
	free, total, err := sp.measure()
	if err != nil {
		return nil, fault.New(fault.StorageError, "measure free space of %s: %w", o.Dir, err)
	}
	*o = o.sized(total)
	if o.BallastBytes <= 0 {
		return sp, nil
	}
	sp.ballast, sp.bytes = filepath.Join(o.Dir, "BALLAST"), o.BallastBytes
	if free < watermark(total) {
		if err := os.Remove(sp.ballast); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fault.New(fault.StorageError, "free the ballast: %w", err)
		}
	}
	fi, err := os.Stat(sp.ballast)
	sp.missing = err != nil || fi.Size() != sp.bytes
	return sp, sp.restore(free, total)
}

// watermark is what must stay free: four groups, two memtables, what the classes take ahead, and 2 % of the volume.
func watermark(total int64) int64 {
	ahead := int64(state.ClassCount) * mostAhead
	return max(4*(groupValueBytes+groupInlineBytes)+memTables*memTableBytes+ahead+total/50, smallestWatermark)
}

// check refuses a group for which there is no room. It recovers by itself.
func (sp *space) check(g groupSize) error {
	free, total, err := sp.look()
	if err != nil {
		return fault.New(fault.DiskFull, "free space cannot be measured: %w", err).
			WithHint("check the data volume")
	}
	need := watermark(total) + max(0, g.valueBytes+g.inlineBytes-groupValueBytes)
	if free < need {
		return fault.New(fault.DiskFull, "%d bytes are free on the data volume, %d are needed", free, need).
			WithHint("make room on the data volume, or shorten the retention of topics; reads go on")
	}
	// A ballast that cannot be made again now will be tried with a later group.
	_ = sp.restore(free, total)
	return nil
}

// atFloor reports that not even small writes have room.
func (sp *space) atFloor() bool {
	free, _, err := sp.look()
	return err != nil || free < floorBytes
}

// left is what may still be written.
func (sp *space) left() int64 {
	free, total, err := sp.look()
	if err != nil {
		return 0
	}
	return max(0, free-watermark(total))
}

// restore makes the ballast again once there is room for two of it.
func (sp *space) restore(free, total int64) error {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if !sp.missing || sp.ballast == "" || free < watermark(total)+2*sp.bytes {
		return nil
	}
	f, err := os.OpenFile(sp.ballast, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make the ballast: %w", err)
	}
	if err := errors.Join(reserve(f, sp.bytes), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("make the ballast: %w", err), os.Remove(sp.ballast))
	}
	sp.missing = false
	return nil
}

// writeZeros takes n bytes of disk the slow way.
func writeZeros(f *os.File, n int64) error {
	zeros := make([]byte, 1<<20)
	for n > 0 {
		k, err := f.Write(zeros[:min(n, int64(len(zeros)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return f.Sync()
}
