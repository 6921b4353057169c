package kafka

import "encoding/binary"

// Why bodies are walked before kmsg decodes them: kmsg makes room for an array as soon as one byte per
// element is left, although an element takes a hundred bytes in memory, and its loop over tagged fields
// believes any count. A frame of some megabytes could take gigabytes, or minutes.

// maxElements is the number of array elements and tagged fields that one request may have, nested ones
// included.
const maxElements = 100_000

// elementBytes is what one element takes in memory once decoded, and its answer, generously.
const elementBytes = 512

// kind is the wire type of a field.
type kind uint8

const (
	kindFixed    kind = iota
	kindString        // also nullable
	kindBytes         // also nullable
	kindList          // elements are single fields: no tagged fields behind each
	kindStructs       // elements are structures
	kindOptional      // one structure, or none
)

// field describes one field of a request body, for a range of versions.
type field struct {
	kind     kind
	size     int // of kindFixed
	nullable bool
	from, to int16
	of       []field
}

// shape describes a request body. Tagged fields may stand behind every structure of a flexible version;
// known names the shape of those at the top that kmsg decodes further.
type shape struct {
	fields []field
	known  map[uint32][]field
}

func fixed(n int) field             { return field{kind: kindFixed, size: n, to: 1<<15 - 1} }
func text() field                   { return field{kind: kindString, to: 1<<15 - 1} }
func bytesOf() field                { return field{kind: kindBytes, to: 1<<15 - 1} }
func list(of field) field           { return field{kind: kindList, of: []field{of}, to: 1<<15 - 1} }
func structs(of ...field) field     { return field{kind: kindStructs, of: of, to: 1<<15 - 1} }
func optional(of ...field) field    { return field{kind: kindOptional, of: of, to: 1<<15 - 1} }
func (f field) orNull() field       { f.nullable = true; return f }
func (f field) since(v int16) field { f.from = v; return f }
func (f field) until(v int16) field { f.to = v; return f }

// skimmer walks a body. It allocates nothing.
type skimmer struct {
	b        []byte
	version  int16
	flexible bool
	elements int
	bad      bool
}

// skim walks body as s says, reports its number of elements, or an error where the body is not exactly of
// that shape.
func (s shape) skim(body []byte, version int16, flexible bool) (elements int, err error) {
	k := skimmer{b: body, version: version, flexible: flexible}
	k.fields(s.fields)
	if flexible {
		k.tags(s.known)
	}
	switch {
	case k.elements > maxElements:
		return 0, malformed("more than %d elements", maxElements)
	case k.bad:
		return 0, malformed("body of %d bytes ends early", len(body))
	case len(k.b) > 0:
		return 0, malformed("%d bytes behind the body", len(k.b))
	}
	return k.elements, nil
}

func (k *skimmer) fields(fs []field) {
	for i := range fs {
		if f := &fs[i]; !k.bad && f.from <= k.version && k.version <= f.to {
			k.field(f)
		}
	}
}

func (k *skimmer) field(f *field) {
	switch f.kind {
	case kindFixed:
		k.skip(f.size)
	case kindString:
		n := k.length(2, f.nullable)
		if n > maxString {
			k.bad = true
			return
		}
		k.skip(max(n, 0))
	case kindBytes:
		k.skip(max(k.length(4, f.nullable), 0))
	case kindOptional:
		if b := k.skip(1); b == nil || b[0] == 0xff { // -1: there is none
			return
		}
		k.fields(f.of)
		if k.flexible {
			k.tags(nil)
		}
	default:
		n := k.length(4, f.nullable)
		if k.elements += max(n, 0); n > len(k.b) || k.elements > maxElements {
			k.bad = true
		}
		for ; n > 0 && !k.bad; n-- {
			k.fields(f.of)
			if f.kind == kindStructs && k.flexible {
				k.tags(nil)
			}
		}
	}
}

// tags walks the tagged fields behind a structure.
func (k *skimmer) tags(known map[uint32][]field) {
	n := k.uvarint()
	if k.elements += int(n); int64(n) > int64(len(k.b)) || k.elements > maxElements {
		k.bad = true
	}
	for ; n > 0 && !k.bad; n-- {
		tag, size := k.uvarint(), k.uvarint()
		if uint64(size) > uint64(len(k.b)) {
			k.bad = true
			return
		}
		if of, ok := known[tag]; ok {
			rest := k.b[size:]
			k.b = k.b[:size]
			k.fields(of)
			k.bad = k.bad || len(k.b) > 0
			k.b = rest
			continue
		}
		k.skip(int(size))
	}
}

// length reads a length of wide bytes, or a compact one; -1 stands for null.
func (k *skimmer) length(wide int, nullable bool) int {
	var n int
	switch {
	case k.flexible:
		n = int(k.uvarint()) - 1
	case wide == 2:
		if b := k.skip(2); b != nil {
			n = int(int16(binary.BigEndian.Uint16(b)))
		}
	default:
		if b := k.skip(4); b != nil {
			n = int(int32(binary.BigEndian.Uint32(b)))
		}
	}
	if n < -1 || (n == -1 && !nullable) {
		k.bad = true
	}
	return n
}

func (k *skimmer) skip(n int) []byte {
	if k.bad || n < 0 || n > len(k.b) {
		k.bad = true
		return nil
	}
	b := k.b[:n]
	k.b = k.b[n:]
	return b
}

func (k *skimmer) uvarint() uint32 {
	v, n := binary.Uvarint(k.b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		k.bad = true
		return 0
	}
	k.b = k.b[n:]
	return uint32(v)
}
