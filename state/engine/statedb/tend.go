package statedb

import (
	"runtime/debug"
	"sync"
	"time"
)

// How the databases of a member are looked after.
const (
	tendEvery = time.Second
	restAfter = 10 // looks in a row at a database that nobody has used

	// Who writes so many memtables between two looks gets larger ones, if there is room.
	busyMemTables = 4

	// A collection gives memory to the machine that the collector would keep for what comes: after databases gave
	// so many bytes back, or when all are quiet after so many were written.
	worthCollecting = 16 << 20
	worthOfABurst   = 64 << 20
	quietBytes      = 64 << 10 // written between two looks, by all databases
)

// tender is the one goroutine that looks after all databases of a member. It lives from the first Open to Close.
type tender struct {
	once sync.Once
	end  chan struct{}
	done chan struct{}

	mu    sync.Mutex // held while it looks
	given int64      // bytes that databases gave back since the last collection
	spent int64      // bytes that were written since then
}

// start begins, once; States.mu is locked.
func (t *tender) start(s *States) {
	if s.o.Faults.Alone {
		return
	}
	t.once.Do(func() {
		t.end, t.done = make(chan struct{}), make(chan struct{})
		go t.run(s)
	})
}

func (t *tender) run(s *States) {
	defer close(t.done)
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.tend()
		case <-t.end:
			return
		}
	}
}

// stop ends it and waits. No start comes after it.
func (t *tender) stop() {
	if t.end != nil {
		close(t.end)
		<-t.done
	}
}

// tend looks at every database once: those that nobody has used for a while rest, those that write much get more
// memory, and those that write little give some to others.
func (s *States) tend() {
	t := &s.tender
	t.mu.Lock()
	defer t.mu.Unlock()
	var gave, written int64
	for _, d := range s.databases() {
		if !d.gate.Enter() {
			continue
		}
		g, w := d.tend()
		gave, written = gave+g, written+w
		d.gate.Leave()
	}
	if gave > 0 {
		s.share()
	}
	t.given, t.spent = t.given+gave, t.spent+written
	if t.given >= worthCollecting || t.spent >= worthOfABurst && written < quietBytes {
		t.given, t.spent = 0, 0
		debug.FreeOSMemory()
	}
}

// tend looks at one database and returns the bytes that it gives back by resting, and those that were written since
// the last look.
func (d *DB) tend() (gave, written int64) {
	d.use.mu.Lock()
	memory := d.use.memory
	d.use.mu.Unlock()
	written = d.use.written.Swap(0)
	if d.use.touched.Swap(false) {
		d.use.quiet = 0
	} else if d.use.quiet++; memory == 0 {
		return 0, written // it rests
	} else if d.use.quiet >= restAfter && d.of.space.take(0, d.of.held()) == nil { // who rests needs room to get up
		return d.rest(), written
	}
	if wish := wishedMemTable(memory, written, d.of.spare()); memory > 0 && wish != memory {
		d.resize(wish)
	}
	return 0, written
}

// wishedMemTable is the size of memtable that a database should have, which has memory now and wrote so many bytes
// since the last look, where all databases leave spare bytes. Changing it costs as much as closing and opening, so it
// changes by much or not at all.
func wishedMemTable(memory, written, spare int64) int64 {
	if most := min(memory+spare/2, mostMemTable); written >= busyMemTables*memory && most >= 2*memory {
		return most
	}
	if least := max(written, leastMemTable); spare < 0 && 2*least <= memory {
		return least
	}
	return memory
}
