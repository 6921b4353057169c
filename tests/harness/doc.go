// Package harness builds the real binary and runs it as a child process: what a member does when it is killed
// can only be seen from outside.
//
//	Binary → StartServer → Kafka() … Kill() → StartServer on the same directory → compare
//
// Invariants: every process listens on loopback, ends with its test, and is ended by its id.
//
// It is for tests only.
package harness
