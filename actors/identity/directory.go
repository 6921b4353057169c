package identity

import (
	"sync"

	"github.com/millstream-io/millstream/proto/fault"
)

// Directory maps (kind, name) to its holder on this member. A is a pointer to whatever an activation is. Safe
// for concurrent use; nothing blocks longer than a map operation and the make function of Claim.
type Directory[A comparable] struct {
	mu      sync.RWMutex
	holders map[key]holder[A]
}

type key struct{ kind, name string }

type holder[A comparable] struct {
	epoch  uint64
	leaves bool // told to stop: found by nobody, but its name is not free yet
	a      A
}

// Claim makes the caller holder of (id.Kind, id.Name) at id.Epoch and returns who holds it now.
//
// Held at the same epoch: the present holder is returned, fresh is false. Held at a lower one, or free: make
// is called with the old holder (the zero A if there is none) and its result becomes the holder. Errors:
// fault.FencedLeaderEpoch when the name is held at a higher epoch, fault.LeaderNotAvailable when the holder
// of this very epoch is about to leave.
func (d *Directory[A]) Claim(id Identity, make func(old A) A) (a A, fresh bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := key{id.Kind, id.Name}
	h, held := d.holders[k]
	switch {
	case held && id.Epoch < h.epoch:
		return a, false, fault.New(fault.FencedLeaderEpoch, "activate %s: held at epoch %d", id, h.epoch).
			WithHint("the placement is older than what this member has applied")
	case held && id.Epoch == h.epoch && h.leaves:
		return a, false, fault.New(fault.LeaderNotAvailable, "activate %s: the activation of this epoch is stopping", id).
			WithHint("wait until it has stopped, or activate a higher epoch")
	case held && id.Epoch == h.epoch:
		return h.a, false, nil
	}
	a = make(h.a)
	if d.holders == nil {
		d.holders = map[key]holder[A]{}
	}
	d.holders[k] = holder[A]{epoch: id.Epoch, a: a}
	return a, true, nil
}

// Lookup returns the holder of a name, unless it is leaving.
func (d *Directory[A]) Lookup(kind, name string) (a A, ok bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	h, held := d.holders[key{kind, name}]
	if !held || h.leaves {
		return a, false
	}
	return h.a, true
}

// Leave hides a holder that was told to stop: Lookup no longer finds it. Nothing happens if a is not the
// holder.
func (d *Directory[A]) Leave(kind, name string, a A) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := key{kind, name}
	if h, held := d.holders[k]; held && h.a == a {
		h.leaves = true
		d.holders[k] = h
	}
}

// Release frees a name. Nothing happens if a is not the holder, so a replaced activation can't free its
// successor.
func (d *Directory[A]) Release(kind, name string, a A) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := key{kind, name}
	if h, held := d.holders[k]; held && h.a == a {
		delete(d.holders, k)
	}
}

// Len returns the number of names that are held, including those whose holder is leaving.
func (d *Directory[A]) Len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.holders)
}
