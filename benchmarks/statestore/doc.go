// Statestore measures the state databases of tasks: read-modify-write in a million keys beside bare Badger with the
// same batches, uniform and Zipf; restoring from changelog records; opening again, after Close and after a kill;
// memory of many databases, full and idle.
//
//	dirty map (a commit each 100 ms) → Get, Apply → StateDB | bare Badger
package main
