// Package load drives a server with records and measures it; it is what `millstream bench` and the benchmark
// programs have in common.
//
//	Writing (closed: so many in flight; open: so many a second) → Writer ─┐
//	                                                                      ├ Door: one way into one server
//	Tally (nothing lost, nothing twice) ← Mark ← Parse ← Reader ──────────┘
//
// Every value carries its run, producer, sequence, the time it was meant to be sent and a checksum, so what
// is read can be held against what was acknowledged. Where a rate is given the load is open: a record's
// latency counts from the moment that it was meant to be sent, so the wait behind a slow server is part of
// it.
//
// Invariants: a run ends only after everything that it sent was answered; a latency is never averaged
// before it is in the histogram; the driver is the same whatever the door.
//
// It must not start servers, and it must not print.
package load
