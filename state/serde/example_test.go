package serde_test

import (
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/millstream-io/millstream/state/serde"
)

func ExampleEncode() {
	b, err := serde.Encode(serde.Int32, nil, serde.Info{Topic: "counts"}, 258)
	fmt.Println(b, err)
	b, err = serde.Encode(serde.Bytes, nil, serde.Info{Topic: "raw"}, nil)
	fmt.Println(b == nil, err)
	// Output:
	// [0 0 1 2] <nil>
	// true <nil>
}

func ExampleDecode() {
	v, null, err := serde.Decode(serde.String, []byte("text"), serde.Info{Topic: "lines"})
	fmt.Printf("%q %v %v\n", v, null, err)
	v, null, err = serde.Decode(serde.String, nil, serde.Info{Topic: "lines"})
	fmt.Printf("%q %v %v\n", v, null, err)
	// Output:
	// "text" false <nil>
	// "" true <nil>
}

func ExampleFor() {
	_, ok := serde.For[string]()
	fmt.Println("string:", ok)
	_, ok = serde.For[struct{ Name string }]()
	fmt.Println("struct:", ok)
	// Output:
	// string: true
	// struct: false
}

func ExampleJSON() {
	type payment struct {
		Card   string `json:"card"`
		Amount int    `json:"amount"`
	}
	b, _ := serde.JSON[payment]().Append(nil, serde.Info{Topic: "payments"}, payment{"4111", 3})
	fmt.Println(string(b))
	_, err := serde.JSON[payment]().Decode([]byte(`{"amount":"three"}`), serde.Info{Topic: "payments"})
	fmt.Println(err)
	// Output:
	// {"card":"4111","amount":3}
	// decode JSON into serde_test.payment: field "amount" at byte 17 does not fit int
}

func ExampleProto() {
	s := serde.Proto[*wrapperspb.StringValue]()
	b, _ := s.Append(nil, serde.Info{Topic: "names"}, wrapperspb.String("ada"))
	v, _ := s.Decode(b, serde.Info{Topic: "names"})
	fmt.Println(v.Value)
	// Output: ada
}

func ExampleIsNull() {
	isNull := serde.IsNull(serde.JSON[*int]())
	fmt.Println(isNull(nil), isNull(new(int)))
	fmt.Println(serde.IsNull(serde.Int64) == nil) // no int64 is null
	// Output:
	// true false
	// true
}
