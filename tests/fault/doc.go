// Package fault breaks what lies below a running member: the power, the disk's room, its syncs and its bits.
// Each test runs the built binary as a process of its own, on a file system that was made for the test.
//
//	load (Kafka protocol) → journal of what was acknowledged → fault → start again → read everything back → compare
//
// Power goes by stopping the process, shutting its ext4 down without writing the journal of the file system,
// and killing the process: what was not synced is gone, as it would be with the machine. Syncs are failed,
// delayed or swallowed by strace on the running process, so the binary under test has no switch for it. A
// sync that is swallowed is the negative control: the same checks must then find that acknowledged records
// are missing.
//
// There are two loads. The plain one fills topics that keep everything; its journal has the record at each offset. The
// mixed one has the log roll, remove, rewrite and compact all the time; its ledger also knows what may be missing:
// what was asked to be deleted, what retention takes, and of a compacted topic all but the newest of each key.
//
// A third load, of package stateful, runs through a topology that keeps state: what comes back after a power cut has
// to be what its changelogs say.
//
// Invariants: every acknowledgement is written down before the fault; mounts, loop devices and folders go
// with the test that made them, and what a killed run left behind goes at the next; only processes that a
// test started are ended. No test waits for time to pass: it waits for a fact, with a generous limit.
//
// All of it needs root and Linux, and skips with the reason where a program or a device cannot be had.
package fault
