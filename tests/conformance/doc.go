// Package conformance runs Kafka clients that this project did not write against a member, and the same tests
// against kfake, a second broker: where the two differ, one of them is wrong.
//
// Invariants: the clients are unmodified; a test that needs a program which is not there skips and says so.
package conformance
