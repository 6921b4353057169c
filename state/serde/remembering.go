package serde

// How many strings Remembering keeps, and how long these may be.
const (
	rememberedStrings = 512
	rememberedBytes   = 64
)

// Remembering returns a serde that decodes as s does, for one goroutine that decodes many values. Where s is String,
// equal short strings that follow each other soon share their memory; any other serde is returned as it is.
func Remembering[T any](s Serde[T]) Serde[T] {
	if any(s) != any(String) {
		return s
	}
	return any(&remembering{}).(Serde[T])
}

// remembering keeps strings where a hash of theirs says, the last one for each hash.
type remembering struct {
	stringSerde
	seen [rememberedStrings]string
}

// Decode implements Serde.
func (r *remembering) Decode(b []byte, info Info) (string, error) {
	if len(b) > rememberedBytes {
		return r.stringSerde.Decode(b, info)
	}
	h := uint32(len(b))
	for _, c := range b {
		h = (h ^ uint32(c)) * 0x01000193 // FNV-1a
	}
	at := &r.seen[(h^h>>15)%rememberedStrings]
	if *at != string(b) {
		*at = string(b)
	}
	return *at, nil
}
