// Package broker is the port of intents: what clients want, whatever door they came through. It routes by the
// in-memory metadata table, checks what can be checked without asking anybody, and asks the replica or the
// controller that decides.
//
//	door → Broker.Produce → check batches, route → Append to the leader's actor → reply → door
//	door → Broker.Fetch → immutable View (memory) → else disk on the pool → else one Watch at each partition's actor
//
// Invariants: every done runs exactly once; no call blocks; nothing here remembers a record; a refusal is a
// fault.Error made here or further in, never by a door.
//
// It must not decide what a replica, a group or the metadata machine decides, and it knows no wire format.
package broker
