// Package cli is the command line: one file for each command, and the few things that they share.
//
// A command line walks one way:
//
//	words → arrange (unknown words are refused with the nearest known one, options may stand anywhere)
//	      → the command's action → failure{what, why, try} → three lines on stderr and an exit code
//
// The commands dev and server run a member in this process; all others talk to a member through its gRPC
// door, with the project's own client (remote.go). bench measures its Kafka door too, doctor asks its HTTP door.
// Where a door is says the option, or else the context or the environment (contexts.go).
//
// Exit codes: 0 done, 1 failure, 2 usage, 3 not found, 4 exists or conflict, 6 unreachable or timed out, 7
// done in part, 130 interrupted.
//
// Invariants: standard output carries results only, in a form that stays the same (the keys of JSON are
// golden files); everything for the eye goes to standard error; the environment is read here and nowhere
// below.
//
// It must not hold logic of the engine: what a command does, another client could do over the wire.
package cli
