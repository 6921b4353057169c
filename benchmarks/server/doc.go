// Package server runs what is measured as a process of its own: the millstream binary, or a peer.
//
//	Build → Start → Kafka, HTTP, Pid … Kill or Stop
//
// Invariants: a process listens on loopback and is ended by its id; Start returns when it has said that it is
// ready.
//
// It must not measure.
package server
