// Package real tests the built binary on a real disk with real faults: kill -9 under load, with
// and without a topology that keeps state, and rows on disk that are gone, damaged, or of another boot.
//
// Invariants: every acknowledgement is written down before the fault, every record is read back after it; a
// checker that finds nothing wrong has a negative control that it does find.
package real
