package observe

import (
	"maps"
	"sync"
	"sync/atomic"
)

// otherValue stands for the label values that came after a set was full. No topic, application or kind is
// named so.
const otherValue = "(other)"

// bounded gives each key an entry of its own, up to a limit; later keys share one. Reading takes no lock and
// does not allocate: the map is replaced when it grows.
type bounded[K comparable, V any] struct {
	limit int
	make  func(k K, other bool) *V

	at atomic.Pointer[map[K]*V]

	mu    sync.Mutex // held to grow
	other *V         // made when it is first needed; under mu
}

func newBounded[K comparable, V any](limit int, build func(k K, other bool) *V) *bounded[K, V] {
	b := &bounded[K, V]{limit: limit, make: build}
	b.at.Store(&map[K]*V{})
	return b
}

// of returns the entry of a key. It is never nil and stays the same.
func (b *bounded[K, V]) of(k K) *V {
	if v := (*b.at.Load())[k]; v != nil {
		return v
	}
	return b.add(k)
}

// all are the entries that there are, the shared one last.
func (b *bounded[K, V]) all() []*V {
	var all []*V
	for _, v := range *b.at.Load() {
		all = append(all, v)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.other != nil {
		all = append(all, b.other)
	}
	return all
}

func (b *bounded[K, V]) add(k K) *V {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := *b.at.Load()
	if v := now[k]; v != nil {
		return v
	}
	if len(now) >= b.limit {
		if b.other == nil {
			b.other = b.make(k, true)
		}
		return b.other
	}
	v := b.make(k, false)
	grown := maps.Clone(now)
	grown[k] = v
	b.at.Store(&grown)
	return v
}
