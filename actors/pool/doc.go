// Package pool owns the goroutines of the actor runtime: a bounded set of workers for jobs that may block
// (disk, network, a task's step) and one goroutine for each mailbox that is busy.
//
//	actor → Submit(job) → queue (limited) → worker (at most Size at once) → the job tells the actor
//
// Workers start when there is work and end when the queue is empty, so an idle pool has no goroutine at all.
//
// Invariants: an accepted job runs exactly once; at most Size jobs run at the same time; jobs start in the
// order in which they were accepted; a panic costs its job and nothing else; Close returns when no goroutine
// is left.
//
// It must not know actors, messages or any library: it is the only place below actors where "go" is written.
package pool
