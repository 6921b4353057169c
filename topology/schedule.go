package topology

import (
	"time"

	"github.com/millstream-io/millstream/topology/plan"
)

// TimeKind says which clock drives a schedule.
type TimeKind uint8

// The clocks.
const (
	// WallClockTime is the time of the machine, or of the driver in tests.
	WallClockTime TimeKind = iota
	// StreamTime is the highest event time that the task has seen.
	StreamTime
)

// minSchedule is the shortest time between two punctuations of one schedule.
const minSchedule = time.Millisecond

type schedule struct {
	node      *plan.Node
	every     time.Duration
	by        TimeKind
	due       time.Time // zero: by stream time, and no record has come yet
	call      func(time.Time) error
	cancelled bool
}

// Punctuate implements plan.Instance.
func (in *instance) Punctuate(now time.Time) error { return in.punctuate(WallClockTime, now) }

// NextPunctuation implements plan.Instance.
func (in *instance) NextPunctuation() time.Time {
	var next time.Time
	for _, s := range in.schedules {
		if s.by == WallClockTime && !s.cancelled && (next.IsZero() || s.due.Before(next)) {
			next = s.due
		}
	}
	return next
}

func (in *instance) punctuateStreamTime() error { return in.punctuate(StreamTime, in.streamTime) }

// punctuate calls what is due, in the order of the Schedule calls. Schedules that are made meanwhile wait for
// the next time.
func (in *instance) punctuate(by TimeKind, now time.Time) error {
	cancelled := false
	for _, s := range in.schedules[:len(in.schedules):len(in.schedules)] {
		if s.by == by && !s.cancelled {
			if err := s.turn(in, now); err != nil {
				return err
			}
		}
		cancelled = cancelled || s.cancelled
	}
	if cancelled {
		in.forgetCancelled()
	}
	return nil
}

func (s *schedule) turn(in *instance, now time.Time) error {
	if s.due.IsZero() {
		s.due = now.Add(s.every)
	}
	if now.Before(s.due) {
		return nil
	}
	due, missed := s.due, now.Sub(s.due)/s.every
	s.due = s.due.Add(s.every * (missed + 1))
	err := s.call(now)
	if in.failed != nil {
		err = in.failed
	} else if err != nil {
		err = in.rt.Refuse(StageProcess, s.node, err)
	}
	if err != nil {
		s.due = due // it has not had its turn, if the record is tried again
	}
	return err
}

func (in *instance) forgetCancelled() {
	kept := in.schedules[:0:0]
	for _, s := range in.schedules {
		if !s.cancelled {
			kept = append(kept, s)
		}
	}
	in.schedules = kept
}
