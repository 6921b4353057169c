package serde

import (
	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/proto/fault"
)

// Proto returns a serde for a generated protobuf message; T is the pointer type, as in Proto[*pb.Order](). A
// nil pointer is null. Keys are written deterministically, because equal keys must meet in one partition.
func Proto[T proto.Message]() Serde[T] { return protoSerde[T]{} }

type protoSerde[T proto.Message] struct{}

// Format names the encoding; see the function Format.
func (protoSerde[T]) Format() string { return "protobuf" }

func (protoSerde[T]) IsNull(v T) bool { return !v.ProtoReflect().IsValid() }

func (protoSerde[T]) Append(dst []byte, info Info, v T) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: info.IsKey}.MarshalAppend(dst, v)
	if err != nil {
		name := v.ProtoReflect().Descriptor().FullName()
		return dst, fault.New(fault.InvalidRecord, "encode %s: %w", name, err)
	}
	return b, nil
}

func (protoSerde[T]) Decode(b []byte, _ Info) (T, error) {
	var zero T
	v := zero.ProtoReflect().New().Interface()
	name := v.ProtoReflect().Descriptor().FullName()
	if err := proto.Unmarshal(b, v); err != nil {
		return zero, fault.New(fault.InvalidRecord, "decode %s: %w", name, err)
	}
	t, ok := v.(T)
	must(ok, "message %s made a %T", name, v)
	return t, nil
}
