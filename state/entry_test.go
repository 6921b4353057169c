package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
)

func sealed(payload string) Entry {
	e := Entry{Index: 7, Term: 3, Type: EntryRecords, Base: 100, Last: 104, AppendTimeMs: 1_700_000_000_123,
		MaxTimestampMs: 1_700_000_000_456, Frame: append(bytes.Repeat([]byte{0xaa}, FrameRoom), payload...)}
	e.Seal()
	return e
}

// Goal: what is sealed is what is opened, whatever was in the room. Method: entries of every type, with and
// without a payload.
func TestSealAndOpen(t *testing.T) {
	empty := sealed("")
	empty.Type, empty.Base, empty.Last = EntryControl, 105, 104
	empty.Seal()
	conf := sealed("conf")
	conf.Type = EntryConf
	conf.Seal()
	for _, want := range []Entry{sealed("some bytes"), empty, conf} {
		got, err := OpenFrame(want.Frame)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if !bytes.Equal(got.Payload(), want.Frame[FrameRoom:]) || got.Next() != want.Last+1 {
			t.Errorf("payload %q, next %d", got.Payload(), got.Next())
		}
	}
}

// Goal: damage anywhere is found. Method: flip every single bit of a frame, and cut it at every length; the
// untouched frame is the control.
func TestOpenFrameFindsDamage(t *testing.T) {
	good := sealed("payload").Frame
	if _, err := OpenFrame(good); err != nil {
		t.Fatal(err)
	}
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := OpenFrame(bad); !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
	}
	for n := range len(good) {
		if _, err := OpenFrame(good[:n]); !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// Goal: no bytes make OpenFrame panic, and what it takes seals to the same bytes. Method: fuzz; the seed
// corpus has whole and broken frames.
func FuzzOpenFrame(f *testing.F) {
	f.Add(sealed("payload").Frame)
	f.Add(sealed("").Frame)
	f.Add([]byte{})
	f.Add(make([]byte, FrameRoom))
	f.Fuzz(func(t *testing.T, p []byte) {
		fix := bytes.Clone(p)
		if len(fix) >= FrameRoom { // get past the checks that a fuzzer cannot guess
			fix[frameAtVersion] = FrameVersion
			binary.BigEndian.PutUint32(fix[frameAtLength:], uint32(len(fix)-FrameRoom))
			binary.BigEndian.PutUint32(fix[frameAtCRC:], frameCRC(fix))
		}
		for _, b := range [][]byte{p, fix} {
			e, err := OpenFrame(b)
			if err != nil {
				continue
			}
			again := e
			again.Frame = bytes.Clone(b)
			again.Seal()
			got, err := OpenFrame(again.Frame)
			if err != nil {
				t.Fatal(err)
			}
			e.Frame, got.Frame = nil, nil
			if !reflect.DeepEqual(got, e) {
				t.Fatalf("got %+v, want %+v", got, e)
			}
		}
	})
}

// Goal: classes have names, and an unknown one says so. Method: all of them.
func TestClassNames(t *testing.T) {
	seen := map[string]bool{}
	for c := Class(0); c < ClassCount; c++ {
		if seen[c.String()] || c.String() == "" || c.String() == "unknown" {
			t.Errorf("class %d is %q", c, c)
		}
		seen[c.String()] = true
	}
	if ClassCount.String() != "unknown" {
		t.Error("a class that is none has a name")
	}
}
