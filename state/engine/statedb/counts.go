package statedb

import "sync/atomic"

// Counts are what databases have done. The zero value is ready, and it is safe for concurrent use. They only rise.
type Counts struct {
	Gets      atomic.Uint64 // single rows that were asked for
	CacheHits atomic.Uint64 // of them, those that the row cache answered
	Walks     atomic.Uint64 // calls of Range
	Applies   atomic.Uint64
	Rows      atomic.Uint64 // that were applied
	Bytes     atomic.Uint64 // that were applied, with some for each row
	Rests     atomic.Uint64 // times that a database gave its memory back, because nobody used it
	Wakes     atomic.Uint64 // times that one that rested was used again
	Resizes   atomic.Uint64 // times that one got more or less memory for what it writes
}

// InMemory is what a database has in memory.
type InMemory struct {
	Task       string
	MemTable   int64 // bytes that the newest rows may take
	CacheBytes int64 // of rows that were read last, about
	AtRest     bool  // it has nothing in memory
}

// InMemory tells what every open database has in memory, in no order. It may wait for a database that is being opened
// or closed.
func (s *States) InMemory() []InMemory {
	var all []InMemory
	for _, d := range s.databases() {
		d.use.mu.Lock()
		m := InMemory{Task: d.task, MemTable: d.use.memory, AtRest: d.use.memory == 0}
		d.use.mu.Unlock()
		m.CacheBytes = int64(d.versions.cacheBytes())
		all = append(all, m)
	}
	return all
}
