// Peers measures Millstream beside JetStream, Redis and kfake: one command, `go run .` in this folder,
// starts and drives all of them and prints what came of it, with the ratios.
//
//	trial (how to drive) × server (what to start, by which door) → a fresh process and directory
//	  → drive (the same for all) → a JSON line → medians, ratios and what they have to be
//
// It is a module of its own, so that nobody who uses Millstream gets the libraries of its peers. The
// servers in Go are this program itself in another role; redis-server comes from the path, and is left out,
// with the reason, where it is missing.
//
// Invariants: only servers that have the same durability when they acknowledge are compared; who begins
// changes with every repetition; what was acknowledged is read back, and a run that lost some of it is
// marked INVALID.
//
// README.md tells how to read the output.
package main
