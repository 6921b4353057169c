// Package task is the shell of one stream task: it feeds the task core with what arrives and carries out what
// it wants.
//
//	Fetched, Sent, Committed, Tick → queue → one job on the pool: core.Step for each → effects → ports
//
// The core calls user code, so its Steps run on the worker pool, one job in flight per task. While it runs,
// the mailbox stays responsive: what arrives waits for the next job, and a Halt is seen at once.
//
// Invariants: the core is touched by one job at a time, and by nobody after Stopping; a panic of user code is
// a crash of this life only; a life that crashed starts again at the committed offsets.
//
// It must not know what a record is, and never block.
package task
