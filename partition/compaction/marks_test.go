package compaction

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: marks ripen in their order and only where all replicas hold them. Method: a story of marks and
// questions.
func TestMarks(t *testing.T) {
	const keep = 1000 // delete.retention.ms
	var m Marks
	apply := func(cleaned, tombstones uint64, ms int64) {
		t.Helper()
		if err := m.Apply(Clean{cleaned, tombstones}.Append(nil), ms); err != nil {
			t.Fatal(err)
		}
	}
	ripe := func(ms int64, match, want uint64) {
		t.Helper()
		if got, ok := m.Ripe(ms, keep, match); got != want || ok != (want > 0) {
			t.Fatalf("at %d with match %d: %d, %t; want %d. %+v", ms, match, got, ok, want, m)
		}
	}
	ripe(1<<50, 1<<50, 0)
	apply(10, 0, 100)
	apply(10, 0, 5000) // said again: the clock runs on
	apply(9, 0, 5000)
	ripe(1099, 50, 0)
	ripe(1100, 9, 0) // a replica does not hold it yet
	ripe(1100, 10, 10)
	apply(20, 0, 200)
	apply(30, 0, 300) // 20 goes with 30
	ripe(1100, 50, 10)
	ripe(1250, 50, 10)
	ripe(1300, 50, 30)
	ripe(1300, 29, 10)
	apply(0, 10, 1300)
	if m.Oldest != (Mark{30, 300}) || m.Tombstones != 10 {
		t.Fatalf("%+v", m)
	}
	ripe(1299, 50, 0)
	ripe(1300, 30, 30)
	apply(0, 30, 1400)
	apply(0, 5, 1500)
	ripe(1<<50, 1<<50, 0)
	if m.Oldest != (Mark{}) || m.Newest.Cleaned != 30 || m.Tombstones != 30 {
		t.Fatalf("%+v", m)
	}
	apply(40, 40, 1600) // both at once: ripe already
	ripe(1<<50, 1<<50, 0)
}

// Goal: however marks come, both numbers only grow, tombstones never pass what was marked clean long
// enough, and the oldest mark ripens though newer ones keep coming. Method: random marks; the leader says
// what is ripe.
func TestMarksOnlyGrow(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var m Marks
		at := map[uint64]int64{} // when it was first marked
		now, cleaned, said := int64(0), uint64(0), int64(0)
		for range 100 {
			now += rng.Int64N(200)
			before := m
			c := Clean{}
			if through, ok := m.Ripe(now, 1000, 1<<62); ok {
				if first := at[through]; now-first < 1000 || through <= m.Tombstones {
					t.Fatalf("%d is ripe at %d, marked at %d: %+v", through, now, first, m)
				}
				c.Tombstones, said = through, now
			} else if cleaned += rng.Uint64N(3); at[cleaned] == 0 {
				c.Cleaned, at[cleaned] = cleaned, now
			}
			if err := m.Apply(c.Append(nil), now); err != nil {
				t.Fatal(err)
			}
			if m.Tombstones < before.Tombstones || m.Newest.Cleaned < before.Newest.Cleaned ||
				m.Oldest.Cleaned > m.Newest.Cleaned || m.Oldest.AppendTimeMs > m.Newest.AppendTimeMs {
				t.Fatalf("%+v became %+v", before, m)
			}
			if m.Oldest.Cleaned > 0 && now-max(said, m.Oldest.AppendTimeMs) > 1400 {
				t.Fatalf("nothing ripened since %d: %+v at %d", said, m, now)
			}
		}
	}
}

// Goal: what is encoded is what is decoded, and other bytes are refused and change nothing. Method: there
// and back; other lengths and versions.
func TestMarksCodec(t *testing.T) {
	want := Marks{Mark{1, 2}, Mark{3, 4}, 5}
	b := want.Append([]byte("before"))
	if got, err := DecodeMarks(b[6:]); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	c := Clean{6, 7}
	p := c.Append([]byte("before"))
	if got, err := DecodeClean(p[6:]); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range [][]byte{
		nil, {1}, p[7:], append(p[6:], 0), make([]byte, 17), b[7:], append(b[6:], 0), make([]byte, 41),
	} {
		m := want
		if err := m.Apply(bad, 9); !errors.Is(err, fault.CorruptRecord) || m != want {
			t.Errorf("%x: %v, %+v", bad, err, m)
		}
		if _, err := DecodeMarks(bad); !errors.Is(err, fault.CorruptRecord) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// Goal: no bytes make the decoders panic, and what they take encodes to the same bytes. Method: fuzz.
func FuzzMarks(f *testing.F) {
	f.Add(Clean{1, 2}.Append(nil))
	f.Add(Marks{Mark{1, 2}, Mark{3, 4}, 5}.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		if c, err := DecodeClean(p); err == nil && !bytes.Equal(c.Append(nil), p) {
			t.Fatalf("%x became %+v", p, c)
		}
		if m, err := DecodeMarks(p); err == nil && !bytes.Equal(m.Append(nil), p) {
			t.Fatalf("%x became %+v", p, m)
		}
	})
}
