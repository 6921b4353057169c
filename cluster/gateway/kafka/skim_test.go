package kafka

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill sets every field of a kmsg structure at random.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			if r.IntN(3) == 0 {
				tags.Set(uint32(50+r.IntN(1000)), []byte("tag"))
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Version" {
				fill(r, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.String:
		v.SetString([]string{"", "a", "some-topic", "another.topic"}[r.IntN(4)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	default:
		if v.CanInt() {
			v.SetInt(r.Int64N(100))
		} else if v.CanUint() {
			v.SetUint(r.Uint64N(100))
		}
	}
}

// randomRequest makes a request of key and version with random contents that can be encoded.
func randomRequest(r *rand.Rand, key, version int16) kmsg.Request {
	req := kmsg.RequestForKey(key)
	fill(r, reflect.ValueOf(req).Elem())
	switch q := req.(type) {
	case *kmsg.FetchRequest:
		q.ReplicaState.UnknownTags = kmsg.Tags{}
	case *kmsg.MetadataRequest:
		for i := range q.Topics {
			if q.Topics[i].Topic == nil && version < 10 {
				q.Topics[i].Topic = kmsg.StringPtr("x")
			}
		}
	}
	req.SetVersion(version)
	return req
}

// Goal: the shapes are kmsg's own in every version served, and nothing else passes. Method: random
// requests encoded by kmsg must be walked to their last byte; every shorter cut, and one byte more, must
// be refused; kmsg must decode what passed.
func TestShapesAreKmsgs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, a := range served() {
		if a.key == keyProduce {
			continue
		}
		for version := a.min; version <= a.max; version++ {
			for range 30 {
				req := randomRequest(r, a.key, version)
				if req.IsFlexible() != (version >= a.flexible) {
					t.Fatalf("key %d: kmsg says flexible %v in version %d", a.key, req.IsFlexible(), version)
				}
				checkSkim(t, a, req)
			}
		}
	}
}

func checkSkim(t *testing.T, a api, req kmsg.Request) {
	t.Helper()
	version, body := req.GetVersion(), req.AppendTo(nil)
	if _, err := a.shape.skim(body, version, version >= a.flexible); err != nil {
		t.Fatalf("key %d v%d: %v\n%+v", a.key, version, err, req)
	}
	again := kmsg.RequestForKey(a.key)
	again.SetVersion(version)
	if err := again.ReadFrom(body); err != nil {
		t.Fatalf("key %d v%d: kmsg refuses its own: %v", a.key, version, err)
	}
	for n := range body {
		if _, err := a.shape.skim(body[:n], version, version >= a.flexible); !errors.Is(err, errMalformed) {
			t.Fatalf("key %d v%d: %d of %d bytes pass: %v", a.key, version, n, len(body), err)
		}
	}
	_, err := a.shape.skim(append(body, 0), version, version >= a.flexible)
	if !errors.Is(err, errMalformed) {
		t.Fatalf("key %d v%d: a byte too many passes: %v", a.key, version, err)
	}
}

// Goal: skimming takes no memory whatever the counts say. Method: hostile bodies under testing.AllocsPerRun.
func TestSkimRefusesAbsurdCounts(t *testing.T) {
	big, absurd := make([]byte, 1<<20), []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	named := []byte{2, 'a', 2, 'b'}[:4:4] // name and version of a client
	tests := map[string]struct {
		shape    shape
		version  int16
		flexible bool
		body     []byte
	}{
		"metadata 2^31-1 topics":    {metadataShape, 1, false, []byte{0x7f, 0xff, 0xff, 0xff}},
		"metadata -2 topics":        {metadataShape, 1, false, []byte{0xff, 0xff, 0xff, 0xfe}},
		"metadata a million empty":  {metadataShape, 1, false, append([]byte{0, 0x0f, 0, 0}, big...)},
		"metadata 2^32-1 compact":   {metadataShape, 9, true, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}},
		"versions 2^32-1 tags":      {apiVersionsShape, 3, true, append(named, absurd...)},
		"varint without end":        {apiVersionsShape, 3, true, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		"string longer than a word": {apiVersionsShape, 3, true, append([]byte{0x82, 0x80, 0x02}, big...)},
		"tag size 2^32-1":           {apiVersionsShape, 3, true, append(named, append([]byte{1, 9}, absurd...)...)},
		"nested tags of replica state": {fetchShape, 15, true, append(make([]byte, 21), 1, 1, 1, 1, 1, 17,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := tt.shape.skim(tt.body, tt.version, tt.flexible); !errors.Is(err, errMalformed) {
				t.Fatalf("passed: %v", err)
			}
			allocs := testing.AllocsPerRun(10, func() {
				k := skimmer{b: tt.body, version: tt.version, flexible: tt.flexible}
				k.fields(tt.shape.fields)
				k.tags(tt.shape.known)
			})
			if allocs > 0 {
				t.Fatalf("%v allocations", allocs)
			}
		})
	}
}
