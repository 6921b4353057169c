package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/partition/raftlog"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

func someStart(machine bool) logStart {
	s := logStart{
		offset:    70,
		terms:     []raftlog.TermStart{{Term: 1, Index: 1}, {Term: 3, Index: 8, Offset: 20}},
		producers: snapshotRow(12, producer.New().Snapshot()),
	}
	if machine {
		s.machine = snapshotRow(12, []byte("state"))
	}
	return s
}

// Goal: what a log start carries comes back, and no part of it can be cut off unnoticed. Method: round trip,
// with and without a machine; then every shorter prefix.
func TestLogStart(t *testing.T) {
	for _, want := range []logStart{someStart(false), someStart(true)} {
		b := want.encode()
		got, err := decodeStart(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		for n := range b {
			if _, err := decodeStart(b[:n]); !errors.Is(err, fault.CorruptRecord) {
				t.Errorf("%d of %d bytes: %v", n, len(b), err)
			}
		}
		if _, err := decodeStart(append(b, 0)); !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("one byte more: %v", err)
		}
	}
}

// Goal: no bytes make decodeStart panic, and what it takes means the same again. Method: fuzz.
func FuzzDecodeStart(f *testing.F) {
	f.Add(someStart(false).encode())
	f.Add(someStart(true).encode())
	f.Add([]byte{})
	f.Add(binary.BigEndian.AppendUint32(make([]byte, 9), 1<<31))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeStart(b)
		if err == nil && !bytes.Equal(s.encode(), b) {
			t.Fatalf("%x comes back as %x", b, s.encode())
		}
	})
}

// Goal: a snapshot that can't be installed is dropped before raft believes in it. Method: a good one, and one
// wrong in each way.
func TestFits(t *testing.T) {
	r, err := New(Config{ID: 1, Voters: []record.ReplicaID{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*logStart)) []byte {
		s := someStart(false)
		f(&s)
		return s.encode()
	}
	good := change(func(*logStart) {})
	for _, c := range []struct {
		name        string
		index, term uint64
		data        []byte
		want        bool
	}{
		{"good", 10, 3, good, true},
		{"no data", 10, 3, nil, false},
		{"another term", 10, 4, good, false},
		{"terms from behind it", 7, 3, good, false},
		{"producers from before it", 13, 3, good, false},
		{"no producers", 10, 3, change(func(s *logStart) { s.producers = nil }), false},
		{"damaged producers", 10, 3, change(func(s *logStart) { s.producers = snapshotRow(12, []byte{9}) }), false},
		{"negative offset", 10, 3, change(func(s *logStart) { s.offset = -2 }), false},
	} {
		m := raftpb.Message{Type: raftpb.MsgSnap, Snapshot: &raftpb.Snapshot{
			Data: c.data, Metadata: raftpb.SnapshotMetadata{Index: c.index, Term: c.term},
		}}
		if got := r.fits(m); got != c.want {
			t.Errorf("%s: fits %v", c.name, got)
		}
	}
	if r.fits(raftpb.Message{Type: raftpb.MsgSnap}) {
		t.Error("no snapshot at all fits")
	}
}

// Goal: a log start in an entry is read as it was written, and nothing else is. Method: round trip and other
// sizes.
func TestTrimPayload(t *testing.T) {
	p := trimTo(1 << 40)
	got, err := trimOf(p.frame[len(p.frame)-trimSize:])
	if err != nil || got != 1<<40 {
		t.Errorf("got %d, %v", got, err)
	}
	for _, b := range [][]byte{nil, make([]byte, trimSize), make([]byte, trimSize+1), {1, 2}} {
		if _, err := trimOf(b); !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("%x: %v", b, err)
		}
	}
}
