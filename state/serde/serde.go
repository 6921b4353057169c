package serde

// Info says what a serde is working on. A codec that keeps schemas by subject needs both.
type Info struct {
	Topic string // name of the topic that is read or written
	IsKey bool   // true for keys, false for values
}

// Serde encodes and decodes values of one type. Implementations are safe for concurrent use.
type Serde[T any] interface {
	// Append appends the encoding of v to dst and returns the extended slice. It is never called for null.
	// It does not keep dst.
	Append(dst []byte, info Info, v T) ([]byte, error)

	// Decode returns the value that b holds. It is never called for null, so b is not nil, but it may be
	// empty. b is read-only and the caller's: Decode copies what it keeps. The error says what is wrong
	// without showing b.
	Decode(b []byte, info Info) (T, error)
}

// Nuller is implemented by a Serde whose type has a value that means null, such as a nil pointer.
type Nuller[T any] interface {
	// IsNull reports whether v is written as null.
	IsNull(v T) bool
}

// IsNull returns a function that reports whether s writes a value as null, or nil where s has no such value.
// Look it up once and keep it: that is cheaper than a type assertion per record.
func IsNull[T any](s Serde[T]) func(v T) bool {
	if n, ok := s.(Nuller[T]); ok {
		return n.IsNull
	}
	return nil
}

// Encode appends the encoding of v to dst and returns the extended slice, or nil where s writes v as null.
// The result of an empty encoding is empty, never nil.
func Encode[T any](s Serde[T], dst []byte, info Info, v T) ([]byte, error) {
	if n, ok := s.(Nuller[T]); ok && n.IsNull(v) {
		return nil, nil
	}
	if dst == nil {
		dst = []byte{}
	}
	return s.Append(dst, info, v)
}

// Decode returns the value that b holds; where b is nil it returns the zero value and null = true.
func Decode[T any](s Serde[T], b []byte, info Info) (v T, null bool, err error) {
	if b == nil {
		return v, true, nil
	}
	v, err = s.Decode(b, info)
	return v, false, err
}

// builtins are the serdes that a type alone picks: one obvious encoding each.
var builtins = []any{String, Bytes, Int64, Int32, Float64, Bool}

// For returns the built-in serde of exactly type T: string, []byte, int64, int32, float64 or bool. Anything
// else, and every struct, has to be given a serde by name.
func For[T any]() (Serde[T], bool) {
	for _, b := range builtins {
		if s, ok := b.(Serde[T]); ok {
			return s, true
		}
	}
	return nil, false
}

// Format names the encoding of a serde, for tools and for a check of what two programs take a store for: "string",
// "bytes", "int64", "int32", "float64", "bool", "json" or "protobuf", or what the method Format of a serde of the
// user's returns; "" where it has none.
func Format(s any) string {
	if f, ok := s.(interface{ Format() string }); ok {
		return f.Format()
	}
	return ""
}
