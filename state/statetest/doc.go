// Package statetest is the contract of state.States and state.StateDB as tests: one suite that every
// implementation runs, and a model that it is compared with.
//
//	Subject → States → rapid: Apply, Get, Range, reopen, crash → Check against Model
//
// Invariants: Check reads everything through the interface; it has a negative control.
//
// It is imported by tests only.
package statetest
