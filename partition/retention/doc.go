// Package retention decides how much of a log its topic's settings keep.
//
//	spans of the log, policy, time → Plan → the new log start
//
// Invariants:
//   - the answer is never below the present log start and never above the end;
//   - a span goes whole or not at all, oldest first, as Kafka removes whole segments;
//   - what is still written to goes only when everything is too old.
//
// It must not read a clock or a disk, or know how space comes back.
package retention
