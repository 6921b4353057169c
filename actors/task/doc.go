// Package task is the shell of one stream task: it feeds the task core with what arrives and carries out what
// it wants.
//
//	Fetched, Sent, Committed, Tick → queue → one job on the pool: core.Step for each → effects → ports
//
// The core calls user code and reads its rows from the disk, so its Steps run on the workers of tasks, one job in
// flight per task. While it runs, the mailbox stays responsive: what arrives waits for the next job. A Pause or a
// Halt ends the job behind the record that user code is at, and goes in front of everything that waits.
//
// Invariants: the core is touched by one job at a time, and by nobody but the one that closes it after Stopping; a
// panic of user code ends this life only, and whoever hosts the task begins the next, at the committed offsets and
// with an epoch of its own.
//
// It must not know what a record is, and never block.
package task
