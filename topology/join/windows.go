package join

import (
	"errors"
	"fmt"
	"time"
)

// Windows says how far the times of two records that meet may be apart. It is a value: its methods return a
// changed copy. Durations count in whole milliseconds.
type Windows struct{ before, after, grace time.Duration }

// Within lets records meet whose times are at most d apart, in either direction.
func Within(d time.Duration) Windows { return Windows{before: d, after: d} }

// Before changes how much earlier than the left record the right one may be.
func (w Windows) Before(d time.Duration) Windows {
	w.before = d
	return w
}

// After changes how much later than the left record the right one may be.
func (w Windows) After(d time.Duration) Windows {
	w.after = d
	return w
}

// Grace lets records come that much out of order, in stream time, and still meet all their partners. Without
// it that is 0.
func (w Windows) Grace(d time.Duration) Windows {
	w.grace = d
	return w
}

// Check says everything that is wrong with w.
func (w Windows) Check() error {
	var errs []error
	if w.before+w.after < 0 {
		errs = append(errs, fmt.Errorf("no two records can meet between %s before and %s after", w.before, w.after))
	}
	if w.grace < 0 {
		errs = append(errs, fmt.Errorf("grace of the join is %s", w.grace))
	}
	for _, d := range []time.Duration{w.before, w.after, w.grace} {
		if d%time.Millisecond != 0 {
			errs = append(errs, fmt.Errorf("joins count in whole milliseconds, %s is none", d))
		}
	}
	return errors.Join(errs...)
}

// Side is the view from one side of a join: a record at t meets those of the other side from t-Before to
// t+After, in milliseconds.
type Side struct{ Before, After, Grace int64 }

// Left is the view from the left side.
func (w Windows) Left() Side {
	return Side{w.before.Milliseconds(), w.after.Milliseconds(), w.grace.Milliseconds()}
}

// Right is the view from the right side.
func (w Windows) Right() Side {
	return Side{w.after.Milliseconds(), w.before.Milliseconds(), w.grace.Milliseconds()}
}

// Over reports whether a record at t can meet nobody any more at a stream time: whoever it could meet would
// be late itself. Before that it is Open. In milliseconds.
func (s Side) Over(t, streamTime int64) bool { return streamTime > t+s.reach() }

// LastOver returns the last time whose records are over at a stream time.
func (s Side) LastOver(streamTime int64) int64 { return streamTime - s.reach() - 1 }

// reach is how far stream time may go past a record before it is over. Where partners come only before the
// record itself, the record is not over before it is there.
func (s Side) reach() int64 { return max(s.After, 0) + s.Grace }

// Retention is how long the buffer of the side keeps a record.
func (s Side) Retention() time.Duration { return time.Duration(s.reach()+1) * time.Millisecond }
