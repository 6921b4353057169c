// Package topologytest runs a topology in a Go test: the real task core on real record batches, with topics
// in memory and a clock that only the test moves. It needs no member, no network and no waiting.
//
//	d := topologytest.New(t, topo)
//	topologytest.Send(d, Lines, "k", "a line")
//	topologytest.Expect(d, Upper, topologytest.P("k", "A LINE"))
//
// Every call runs the tasks, of all sub-topologies, until nothing is left to do at the present time. Offsets are
// committed and changelogs written as in production, so Crash shows what at-least-once means: what was not committed
// is done again, and LoseState what a changelog is worth. Store and StoreWindow look into stores. The page
// docs/testing-your-topology.md goes through all of it.
//
// Invariants: the same calls give the same order of events; nothing happens between calls; a task that
// stopped with an error fails the test unless the test asked for it by Failed.
//
// It is imported by tests only, and must not start goroutines or read the machine's clock.
package topologytest
