package statedb

import (
	"sync"

	"github.com/millstream-io/millstream/state"
)

// versions are the states of a database that somebody sees: each Apply makes the next one. Who reads holds one, so
// that Badger keeps its rows. The cache has rows of the newest state only, and is behind the same lock, so that
// nobody puts an older row into it.
type versions struct {
	mu     sync.Mutex
	newest uint64
	mark   []byte
	held   []hold // ascending
	cache  *rowCache
}

// hold is how many hold one version.
type hold struct {
	version uint64
	n       int
}

// begin returns the row of key in the newest state, appended to dst, where the cache knows it; otherwise it holds
// the version to look in.
func (v *versions) begin(dst, key []byte) (value []byte, ok, known bool, version uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if row, ok, known := v.cache.get(key); known {
		return append(dst, row...), ok, true, 0
	}
	return dst, false, false, v.hold()
}

// hold holds the newest version; mu is locked.
func (v *versions) hold() uint64 {
	if n := len(v.held); n > 0 && v.held[n-1].version == v.newest {
		v.held[n-1].n++
	} else {
		v.held = append(v.held, hold{v.newest, 1})
	}
	return v.newest
}

// end lets a version go, and keeps a row that was found, or not found, in it. key nil keeps nothing.
func (v *versions) end(version uint64, key, value []byte, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if key != nil && version == v.newest {
		v.cache.put(key, value, ok)
	}
	for i := range v.held {
		if v.held[i].version != version {
			continue
		}
		if v.held[i].n--; v.held[i].n == 0 {
			v.held = append(v.held[:i], v.held[i+1:]...)
		}
		return
	}
	must(false, "version %d is not held", version)
}

// holdNewest holds the newest version for a walk.
func (v *versions) holdNewest() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hold()
}

// publish makes a version with these rows the newest, all at once. It returns the oldest one that anybody sees.
func (v *versions) publish(version uint64, rows []state.StateRow, mark []byte) (oldest uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.newest, v.mark = version, mark
	for _, r := range rows {
		v.cache.replace(r.Key, r.Value, r.Value != nil)
	}
	if len(v.held) > 0 {
		return v.held[0].version
	}
	return version
}

func (v *versions) state() (version uint64, mark []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.newest, v.mark
}

// current returns the newest version and the oldest one that anybody sees.
func (v *versions) current() (newest, oldest uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.held) > 0 {
		return v.newest, v.held[0].version
	}
	return v.newest, v.newest
}

// cacheBytes is what the cache takes, about.
func (v *versions) cacheBytes() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cache.bytes()
}

func (v *versions) resize(cacheBytes int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cache.resize(cacheBytes)
}
