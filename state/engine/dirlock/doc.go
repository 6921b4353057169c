// Package dirlock keeps a directory for one owner: it owns the lock file and nothing else in the directory.
//
//	Take → whoever comes second gets ErrTaken → Release, or the end of the process
//
// Invariants: a released directory can be taken at once, also while the process starts another one, which has a copy
// of every open file for a moment.
//
// It must not know whose the directory is.
package dirlock
