// Package changelog turns rows of a task's stores into records of the stores' changelog topics, and back.
//
//	row: store(2) | key → value      record of the store's changelog: key → value, null for a row that is deleted
//
// A store has a changelog topic of its own and a task a partition of it, so that the store's number, which may be
// another one in the next version of a topology, is not in the record. A record's timestamp is what the task says:
// it decides when the record of a windowed store may go.
//
// Invariants: Row(n, Record(Row)) is the row, for every row of store n; a record without a key has no row.
//
// It is pure: bytes in, bytes out. It must not know topics, stores by name, or what a value means.
package changelog
