package serde

import "hash/maphash"

// How many strings Remembering keeps, at first and at most, and how long these may be.
const (
	firstRemembered   = 256
	highestRemembered = 4096
	rememberedBytes   = 64
)

// Remembering returns a serde that decodes as s does, for one goroutine that decodes many values. Where s is String,
// equal short strings that follow each other soon share their memory; any other serde is returned as it is.
func Remembering[T any](s Serde[T]) Serde[T] {
	if any(s) != any(String) {
		return s
	}
	return any(&remembering{seed: maphash.MakeSeed()}).(Serde[T])
}

// remembering keeps strings where a hash of theirs says, the last one for each hash. The seed makes the places of
// strings unknown outside.
type remembering struct {
	stringSerde
	seed   maphash.Seed
	seen   []string // a power of two of them
	missed int      // decoded anew since seen has grown
}

// Decode implements Serde.
func (r *remembering) Decode(b []byte, info Info) (string, error) {
	if len(b) > rememberedBytes {
		return r.stringSerde.Decode(b, info)
	}
	if r.missed >= 2*len(r.seen) {
		r.grow()
	}
	at := &r.seen[maphash.Bytes(r.seed, b)&uint64(len(r.seen)-1)]
	if *at != string(b) {
		*at = string(b)
		r.missed++
	}
	return *at, nil
}

// grow makes room for more strings, where many were not there. Those that are there move.
func (r *remembering) grow() {
	r.missed = 0
	if len(r.seen) == highestRemembered {
		return
	}
	old := r.seen
	r.seen = make([]string, max(firstRemembered, 4*len(old)))
	for _, s := range old {
		r.seen[maphash.String(r.seed, s)&uint64(len(r.seen)-1)] = s
	}
}
