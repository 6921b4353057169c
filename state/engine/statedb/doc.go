// Package statedb keeps the state databases of a member's tasks on the disk: it implements state.States with a
// Badger a task. Like all of state/engine it is known to the composition root only.
//
//	Apply → one transaction, or some: rows of version n+1 …, the mark last → version n+1 is the newest
//	Get   → row cache, or a version that is held → Badger → checksum → cache
//	Range → a version that is held → Badger's iterator → checksum → fn
//
// Every Apply makes a new version of the state. Who reads holds the version that was the newest when he began, so
// a walk is over one state, while nobody waits for anybody; versions that nobody holds are dropped when Badger
// merges tables. A row of one key at one time in place would be smaller, but half an Apply would show.
//
// On the disk a task has a directory, named for it:
//
//	META   what it is: format, task, run of the machine; closed or in use; when closed, a sum of what is in rows/
//	rows/  Badger's tables, manifest and write-ahead logs
//
// Nothing is synced while a database is in use: it survives the process, by the page cache. Close makes all of it
// durable and says so in META, last. Who opens one that was in use finds out whether the machine has gone down
// since, and drops it then: the changelogs have it.
//
// A value is stored with a checksum of key and value. A row of more than 64 KiB is stored in pieces, so that
// Badger's value log, which cannot tell damage from emptiness, is never used.
//
// Invariants:
//   - The newest version is that of the mark. Rows of a later one are what is left of an Apply that was not
//     finished: they are written over when the database is opened.
//   - The cache has rows of the newest version only: it changes with it, under one lock.
//   - No table is given to Badger that was not read and found sound; what is no table, where the database was
//     closed, is what it was then. After a crash of the process, damage at the end of a write-ahead log looks
//     like the crash itself: the state is then an older one, and its mark says so.
//   - The first storage error refuses everything until the database is opened again.
//   - One memory budget serves all: half of it what was written last, half of it caches, split by tasks in use. Who
//     writes much gets more of the first half. Where there are more tasks than it has room for, each still gets the
//     least that works.
//   - A database that nobody has used for ten seconds rests: it has no memory, no goroutine and no timer until it
//     is used again.
//
// It must not know stores, changelogs or what a row is, beyond the number of the store for its errors.
package statedb
