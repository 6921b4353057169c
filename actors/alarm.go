package actors

import "time"

// Alarm is the one timer of a life whose core names the next time at which it wants to be stepped. The zero
// value is ready. It belongs to the actor's goroutine.
type Alarm struct {
	at     time.Time // zero: none runs
	cancel func()
}

// Set makes the timer send m at a time, or at once where that has passed; the zero time asks for none. A
// timer that is already right stays.
func (a *Alarm) Set(c Context, at time.Time, m any) {
	if at.Equal(a.at) {
		return
	}
	if a.cancel != nil {
		a.cancel()
		a.cancel = nil
	}
	a.at = at
	if !at.IsZero() {
		a.cancel = c.After(max(0, at.Sub(c.Now())), m)
	}
}

// Rang says that the message has come: the next Set begins anew.
func (a *Alarm) Rang() { a.at = time.Time{} }
