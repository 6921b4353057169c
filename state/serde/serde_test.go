package serde_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
)

type order struct {
	Customer string
	Amount   int64 `json:"amount"`
}

var info = serde.Info{Topic: "t"}

// roundTrip encodes v behind some bytes, decodes it, and checks both.
func roundTrip[T any](t *testing.T, s serde.Serde[T], v T, want []byte) {
	t.Helper()
	b, err := s.Append([]byte("before"), info, v)
	if err != nil {
		t.Fatalf("%T: %v", s, err)
	}
	rest, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok || !bytes.Equal(rest, want) {
		t.Errorf("%T encodes %v as %x, expected %x", s, v, rest, want)
	}
	back, err := s.Decode(rest, info)
	if err != nil || !reflect.DeepEqual(back, v) {
		t.Errorf("%T decodes %v, %v; expected %v", s, back, err, v)
	}
	for i := range rest {
		rest[i] ^= 0xff
	}
	if !reflect.DeepEqual(back, v) {
		t.Errorf("%T keeps the caller's bytes", s)
	}
}

// Goal: built-in serdes write what Kafka's serializers of the same names write, append, and copy. Method:
// known bytes.
func TestBuiltins(t *testing.T) {
	roundTrip(t, serde.String, "grüß", []byte("gr\xc3\xbc\xc3\x9f"))
	roundTrip(t, serde.String, "", nil)
	roundTrip(t, serde.Bytes, []byte{1, 0, 255}, []byte{1, 0, 255})
	roundTrip(t, serde.Int64, -2, []byte{255, 255, 255, 255, 255, 255, 255, 254})
	roundTrip(t, serde.Int32, 0x01020304, []byte{1, 2, 3, 4})
	roundTrip(t, serde.Float64, 1.5, []byte{0x3f, 0xf8, 0, 0, 0, 0, 0, 0})
	roundTrip(t, serde.Float64, math.Inf(-1), []byte{0xff, 0xf0, 0, 0, 0, 0, 0, 0})
	roundTrip(t, serde.Bool, true, []byte{1})
	roundTrip(t, serde.Bool, false, []byte{0})
	roundTrip(t, serde.JSON[order](), order{"me", 7}, []byte(`{"Customer":"me","amount":7}`))
}

// Goal: bytes of the wrong shape are an error that says what is wrong and never shows them. Method: each
// decoder with bytes that hold a word to look for.
func TestDecodeErrors(t *testing.T) {
	secret := []byte(`{"Customer":"secret","amount":"secret"}`)
	for name, err := range map[string]error{
		"int64":   second(serde.Int64.Decode(secret, info)),
		"int32":   second(serde.Int32.Decode(secret, info)),
		"float64": second(serde.Float64.Decode(secret, info)),
		"bool":    second(serde.Bool.Decode(secret, info)),
		"bool 2":  second(serde.Bool.Decode([]byte{2}, info)),
		"json":    second(serde.JSON[order]().Decode(secret, info)),
		"syntax":  second(serde.JSON[order]().Decode([]byte("secret"), info)),
		"own":     second(serde.JSON[picky]().Decode([]byte(`"secret"`), info)),
		"proto":   second(serde.Proto[*wrapperspb.StringValue]().Decode([]byte("secret"), info)),
	} {
		if fault.CodeOf(err) != fault.InvalidRecord {
			t.Errorf("%s: error %v", name, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error shows the bytes: %v", name, err)
		}
	}
}

// picky refuses all JSON with an error that quotes it.
type picky struct{}

func (*picky) UnmarshalJSON(b []byte) error { return fmt.Errorf("refuse %s", b) }

func second[T any](_ T, err error) error { return err }

// Goal: what cannot be encoded is an error, and dst stays as it was. Method: a value that JSON has no form
// for.
func TestEncodeError(t *testing.T) {
	b, err := serde.JSON[float64]().Append([]byte("x"), info, math.NaN())
	if fault.CodeOf(err) != fault.InvalidRecord || string(b) != "x" {
		t.Fatalf("%q, %v", b, err)
	}
	text := serde.Proto[*wrapperspb.StringValue]()
	if _, err = serde.Encode(text, nil, info, wrapperspb.String("\xff")); err == nil {
		t.Fatal("invalid UTF-8 is encoded")
	}
}

// Goal: null and empty are kept apart on both ways. Method: values that are null in their type, and ones that
// are not.
func TestNull(t *testing.T) {
	encoded := func(b []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return "null"
		}
		return fmt.Sprintf("%q", b)
	}
	for _, c := range [][2]string{
		{encoded(serde.Encode(serde.String, nil, info, "")), `""`},
		{encoded(serde.Encode(serde.Bytes, nil, info, []byte{})), `""`},
		{encoded(serde.Encode(serde.Bytes, nil, info, nil)), "null"},
		{encoded(serde.Encode(serde.JSON[*order](), nil, info, nil)), "null"},
		{encoded(serde.Encode(serde.JSON[map[string]int](), nil, info, nil)), "null"},
		{encoded(serde.Encode(serde.JSON[any](), nil, info, nil)), "null"},
		{encoded(serde.Encode(serde.JSON[int](), nil, info, 0)), `"0"`},
		{encoded(serde.Encode(serde.Proto[*wrapperspb.StringValue](), nil, info, nil)), "null"},
		{encoded(serde.Encode(serde.Proto[*wrapperspb.StringValue](), nil, info, wrapperspb.String(""))), `""`},
	} {
		if c[0] != c[1] {
			t.Errorf("encoded as %s, expected %s", c[0], c[1])
		}
	}
	if v, null, err := serde.Decode(serde.String, nil, info); v != "" || !null || err != nil {
		t.Errorf("null decodes to %q, %v, %v", v, null, err)
	}
	if v, null, err := serde.Decode(serde.String, []byte{}, info); v != "" || null || err != nil {
		t.Errorf("empty decodes to %q, %v, %v", v, null, err)
	}
	if serde.IsNull(serde.String) != nil || !serde.IsNull(serde.Bytes)(nil) {
		t.Error("IsNull is wrong about String or Bytes")
	}
}

// Goal: a type alone picks a serde only where there is one obvious encoding. Method: all that have one, and
// some that have not.
func TestFor(t *testing.T) {
	type myString string
	found := []bool{has[string](), has[[]byte](), has[int64](), has[int32](), has[float64](), has[bool]()}
	for i, ok := range found {
		if !ok {
			t.Errorf("built-in %d is not found", i)
		}
	}
	if has[order]() || has[*order]() || has[int]() || has[any]() || has[myString]() {
		t.Error("a serde is found for a type that has no obvious one")
	}
}

func has[T any]() bool {
	_, ok := serde.For[T]()
	return ok
}

// Goal: serdes made twice are the same, so that a topic may be declared twice. Method: compare.
func TestComparable(t *testing.T) {
	if serde.JSON[order]() != serde.JSON[order]() ||
		serde.Proto[*wrapperspb.StringValue]() != serde.Proto[*wrapperspb.StringValue]() {
		t.Error("two of a kind differ")
	}
}

// FuzzDecode checks that no decoder panics and that what is decoded is encoded to something that decodes the
// same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte(`{"Customer":"me","amount":7}`))
	f.Add([]byte{10, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		again(t, serde.String, b)
		again(t, serde.Bytes, b)
		again(t, serde.Int64, b)
		again(t, serde.Int32, b)
		again(t, serde.Bool, b)
		again(t, serde.JSON[order](), b)
		if v, err := serde.Float64.Decode(b, info); err == nil && !math.IsNaN(v) {
			again(t, serde.Float64, b)
		}
		if m, err := serde.Proto[*wrapperspb.StringValue]().Decode(b, info); err == nil {
			if _, err := serde.Proto[*wrapperspb.StringValue]().Append(nil, info, m); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func again[T any](t *testing.T, s serde.Serde[T], b []byte) {
	v, err := s.Decode(b, info)
	if err != nil {
		return
	}
	enc, err := s.Append(nil, info, v)
	if err != nil {
		t.Fatalf("%T decodes %x but does not encode it: %v", s, b, err)
	}
	if back, err := s.Decode(enc, info); err != nil || !reflect.DeepEqual(back, v) {
		t.Fatalf("%T: %v becomes %v, %v", s, v, back, err)
	}
}
