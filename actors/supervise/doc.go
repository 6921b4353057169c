// Package supervise decides what follows a crash: another life after a pause, or the end of the activation.
//
//	crash → History.Crash(policy, now, rng) → (pause, true): a new life after the pause
//	                                        → (0, false): the budget is spent; stop and report
//
// A crash is for bugs and corruption. A full disk, a slow peer or a bad record is a value and never comes
// here.
//
// Invariants: pauses double from Policy.Pause up to Policy.MaxPause and are then shortened by jitter, never
// lengthened; at most Policy.Restarts lives follow within Policy.Within; crashes older than that are
// forgotten.
//
// It must not read a clock, start a timer or know actors: the caller hands in now and the randomness.
package supervise
