package window

import (
	"errors"
	"fmt"
	"time"
)

// Windows is how event time is divided. It is a value: Grace and Retention return a changed copy. Durations
// count in whole milliseconds. The zero Windows is not valid; see Check.
type Windows struct{ size, advance, grace, retention time.Duration }

// Tumbling returns windows of one size that follow each other without a gap.
func Tumbling(size time.Duration) Windows { return Windows{size: size, advance: size} }

// Hopping returns windows of one size that begin every advance, so that they overlap.
func Hopping(size, advance time.Duration) Windows { return Windows{size: size, advance: advance} }

// Grace lets windows take records for that long after their end, in stream time. Without it that is 0.
func (w Windows) Grace(d time.Duration) Windows {
	w.grace = d
	return w
}

// Retention keeps results for that long after the start of their window, in stream time. Without it that is
// size + grace, the least.
func (w Windows) Retention(d time.Duration) Windows {
	w.retention = d
	return w
}

// Size is the length of a window.
func (w Windows) Size() time.Duration { return w.size }

// Advance is the time between the starts of two windows.
func (w Windows) Advance() time.Duration { return w.advance }

// Wait is the grace.
func (w Windows) Wait() time.Duration { return w.grace }

// Kept is the retention.
func (w Windows) Kept() time.Duration {
	if w.retention == 0 {
		return w.size + w.grace
	}
	return w.retention
}

// Check says everything that is wrong with w.
func (w Windows) Check() error {
	var errs []error
	if w.size < time.Millisecond {
		errs = append(errs, fmt.Errorf("size of windows is %s, a millisecond is the least", w.size))
	}
	if w.advance < time.Millisecond || w.advance > w.size {
		errs = append(errs, fmt.Errorf("windows advance by %s: a millisecond up to their size may be", w.advance))
	}
	if w.grace < 0 {
		errs = append(errs, fmt.Errorf("grace of windows is %s", w.grace))
	}
	if least := w.size + w.grace; w.Kept() < least {
		errs = append(errs, fmt.Errorf("windows are kept for %s, %s is the least: their size and grace",
			w.Kept(), least))
	}
	for _, d := range []time.Duration{w.size, w.advance, w.grace, w.retention} {
		if d%time.Millisecond != 0 {
			errs = append(errs, fmt.Errorf("windows count in whole milliseconds, %s is none", d))
		}
	}
	return errors.Join(errs...)
}

// First returns the start of the first window that holds time ms; the others begin every Advance up to ms
// itself. All in milliseconds since 1970; ms is not negative.
func (w Windows) First(ms int64) int64 {
	size, advance := w.size.Milliseconds(), w.advance.Milliseconds()
	return max(ms-size+advance, 0) / advance * advance
}

// Over reports whether the window that begins at start takes no more records at a stream time, both in
// milliseconds.
func (w Windows) Over(start, streamTime int64) bool {
	return streamTime >= start+(w.size+w.grace).Milliseconds()
}

// LastOver returns the start of the last window that is over at a stream time, and false where none is.
func (w Windows) LastOver(streamTime int64) (start int64, ok bool) {
	return w.lastAt(streamTime - (w.size + w.grace).Milliseconds())
}

// LastExpired returns the start of the last window whose row need not be kept at a stream time, and false
// where there is none.
func (w Windows) LastExpired(streamTime int64) (start int64, ok bool) {
	return w.lastAt(streamTime - w.Kept().Milliseconds())
}

// lastAt returns the last start that is not behind ms.
func (w Windows) lastAt(ms int64) (start int64, ok bool) {
	if ms < 0 {
		return 0, false
	}
	advance := w.advance.Milliseconds()
	return ms / advance * advance, true
}
