package serde

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/millstream-io/millstream/proto/fault"
)

// JSON returns a serde that writes T as encoding/json does. Where T is a pointer, map, slice or interface,
// its nil is null (no bytes), not the text "null". Decoding ignores fields that T does not have, so that
// producers may add some.
func JSON[T any]() Serde[T] {
	s := jsonSerde[T]{}
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		s.nillable = true
	}
	return s
}

type jsonSerde[T any] struct{ nillable bool }

// Format names the encoding; see the function Format.
func (jsonSerde[T]) Format() string { return "json" }

func (s jsonSerde[T]) IsNull(v T) bool {
	return s.nillable && reflect.ValueOf(&v).Elem().IsNil()
}

func (s jsonSerde[T]) Append(dst []byte, _ Info, v T) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return dst, fault.New(fault.InvalidRecord, "encode %s as JSON: %w", reflect.TypeFor[T](), err)
	}
	return append(dst, b...), nil
}

func (s jsonSerde[T]) Decode(b []byte, _ Info) (T, error) {
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		kind := reflect.TypeFor[T]()
		return v, fault.New(fault.InvalidRecord, "decode JSON into %s: %w", kind, jsonPlace(err))
	}
	return v, nil
}

// jsonPlace says where and why JSON was refused without quoting it: texts of encoding/json may hold parts of
// the value, and values must not reach logs or headers.
func jsonPlace(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("field %q at byte %d does not fit %s", kind.Field, kind.Offset, kind.Type)
	}
	return errors.New("refused by the type's own decoder")
}
