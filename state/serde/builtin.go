package serde

import (
	"encoding/binary"
	"math"

	"github.com/millstream-io/millstream/proto/fault"
)

// The built-in serdes; For finds them by type. All are as Kafka's own serializers of the same names write
// them.
var (
	// String takes the bytes of the string as they are, which is UTF-8 where the string is.
	String Serde[string] = stringSerde{}

	// Bytes copies bytes. A nil slice is null, an empty one is not.
	Bytes Serde[[]byte] = bytesSerde{}

	// Int64 is 8 bytes, big-endian (Kafka's Long).
	Int64 Serde[int64] = int64Serde{}

	// Int32 is 4 bytes, big-endian (Kafka's Integer).
	Int32 Serde[int32] = int32Serde{}

	// Float64 is the 8 bytes of IEEE 754, big-endian (Kafka's Double).
	Float64 Serde[float64] = float64Serde{}

	// Bool is one byte, 0 or 1 (Kafka's Boolean).
	Bool Serde[bool] = boolSerde{}
)

type stringSerde struct{}

func (stringSerde) Append(dst []byte, _ Info, v string) ([]byte, error) {
	return append(dst, v...), nil
}
func (stringSerde) Decode(b []byte, _ Info) (string, error) { return string(b), nil }

type bytesSerde struct{}

func (bytesSerde) Append(dst []byte, _ Info, v []byte) ([]byte, error) { return append(dst, v...), nil }
func (bytesSerde) IsNull(v []byte) bool                                { return v == nil }
func (bytesSerde) Decode(b []byte, _ Info) ([]byte, error) {
	return append(make([]byte, 0, len(b)), b...), nil
}

type int64Serde struct{}

func (int64Serde) Append(dst []byte, _ Info, v int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v)), nil
}

func (int64Serde) Decode(b []byte, _ Info) (int64, error) {
	if len(b) != 8 {
		return 0, wrongSize("int64", 8, len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

type int32Serde struct{}

func (int32Serde) Append(dst []byte, _ Info, v int32) ([]byte, error) {
	return binary.BigEndian.AppendUint32(dst, uint32(v)), nil
}

func (int32Serde) Decode(b []byte, _ Info) (int32, error) {
	if len(b) != 4 {
		return 0, wrongSize("int32", 4, len(b))
	}
	return int32(binary.BigEndian.Uint32(b)), nil
}

type float64Serde struct{}

func (float64Serde) Append(dst []byte, _ Info, v float64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v)), nil
}

func (float64Serde) Decode(b []byte, _ Info) (float64, error) {
	if len(b) != 8 {
		return 0, wrongSize("float64", 8, len(b))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}

type boolSerde struct{}

func (boolSerde) Append(dst []byte, _ Info, v bool) ([]byte, error) {
	if v {
		return append(dst, 1), nil
	}
	return append(dst, 0), nil
}

func (boolSerde) Decode(b []byte, _ Info) (bool, error) {
	if len(b) != 1 {
		return false, wrongSize("bool", 1, len(b))
	}
	if b[0] > 1 {
		return false, fault.New(fault.InvalidRecord, "bool is neither 0 nor 1")
	}
	return b[0] == 1, nil
}

func wrongSize(kind string, want, got int) error {
	return fault.New(fault.InvalidRecord, "%s takes %d bytes, %d are there", kind, want, got).
		WithHint("check that producer and topology name the same serde for this topic")
}

// Format names the encoding; see the function Format.
func (stringSerde) Format() string { return "string" }

// Format names the encoding; see the function Format.
func (bytesSerde) Format() string { return "bytes" }

// Format names the encoding; see the function Format.
func (int64Serde) Format() string { return "int64" }

// Format names the encoding; see the function Format.
func (int32Serde) Format() string { return "int32" }

// Format names the encoding; see the function Format.
func (float64Serde) Format() string { return "float64" }

// Format names the encoding; see the function Format.
func (boolSerde) Format() string { return "bool" }
