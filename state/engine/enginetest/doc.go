// Package enginetest is the contract of state.LogStore as tests: one suite that every implementation runs,
// a model of one replica's log, and the checker that compares the two.
//
//	Subject.Open → store;  Log → writes → store.Append;  Check(store, log)
//
// Invariants: a Log is what the store must answer once its writes are settled; Check reads everything
// through the interface and knows nothing of buckets; the checker has a negative control.
//
// It is imported by tests only.
package enginetest
