// Package serde turns typed keys and values into bytes and back. A Serde is a value that is named once, in a
// typed topic, and serves sources, sinks, clients and tests alike.
//
//	value → Encode → bytes (nil: null) → record → Decode → value, null or not
//
// Null is no value of a type: a null key or value has no bytes, so Append and Decode never see it. It decodes
// to the zero value together with a mark, and what is null on the way out is decided by the mark, or by the
// serde itself where its type has a nil of its own (see Nuller). That keeps a null key ("no key": any
// partition) apart from an empty one ("": always the same partition), and a tombstone apart from an empty
// value.
//
// Invariants:
//   - Append only appends: what was in dst before stays.
//   - Decode copies what it keeps: b belongs to the caller and may be overwritten as soon as Decode returns.
//   - Errors never hold the bytes of keys or values.
//   - A serde is safe for concurrent use and can be compared with == unless its author made it otherwise.
//
// It must not do I/O or start goroutines, and no struct ever gets a format that nobody named: For knows only
// types with one obvious encoding.
package serde
