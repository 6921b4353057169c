package changelog_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/changelog"
)

// Goal: what is no row and no changelog record is refused. Method: one of each kind.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "\x00", "\x00\x01"} {
		if _, _, err := changelog.Record(state.StateRow{Key: []byte(key)}, 1); fault.CodeOf(err) != fault.InvalidRecord {
			t.Errorf("row %q: %v", key, err)
		}
	}
	for _, c := range []struct {
		rec  record.Record
		want fault.Code
	}{
		{record.Record{Value: []byte("v")}, fault.InvalidRecord},
		{record.Record{Key: make([]byte, state.MaxRowKeyBytes)}, fault.RecordTooLarge},
		{record.Record{Key: []byte("k"), Value: make([]byte, state.MaxRowValueBytes+1)}, fault.RecordTooLarge},
	} {
		_, dst, err := changelog.AppendRow([]byte("kept"), 1, c.rec)
		if fault.CodeOf(err) != c.want || string(dst) != "kept" {
			t.Errorf("%d and %d bytes: %v and %q", len(c.rec.Key), len(c.rec.Value), err, dst)
		}
	}
}

// Goal: a row becomes a record and the same row again, a deletion stays one, and an empty value is none. Method:
// fuzz key, value and store.
func FuzzThereAndBack(f *testing.F) {
	f.Add(uint16(0), []byte("k"), []byte("v"), false)
	f.Add(uint16(65535), []byte{0}, []byte{}, false)
	f.Add(uint16(258), []byte("key"), []byte(nil), true)
	f.Fuzz(func(t *testing.T, store uint16, key, value []byte, deleted bool) {
		if value == nil {
			value = []byte{}
		}
		if deleted {
			value = nil
		}
		row := state.StateRow{Key: state.RowKey(nil, store, key), Value: value}
		n, rec, err := changelog.Record(row, 42)
		if len(key) == 0 {
			if err == nil {
				t.Fatal("a row without a key has a record")
			}
			return
		}
		if err != nil || n != store || rec.TimestampMs != 42 || (rec.Value == nil) != deleted {
			t.Fatalf("%v: store %d, %+v", err, n, rec)
		}
		back, _, err := changelog.AppendRow(nil, n, rec)
		if state.CheckRow(row) != nil {
			if err == nil {
				t.Fatal("a row that is refused came back")
			}
			return
		}
		if err != nil || !bytes.Equal(back.Key, row.Key) || !bytes.Equal(back.Value, row.Value) || (back.Value == nil) != deleted {
			t.Fatalf("%v: %+v, want %+v", err, back, row)
		}
	})
}

// A deletion in store 3 on its way through the changelog.
func Example() {
	row := state.StateRow{Key: state.RowKey(nil, 3, []byte("alice"))}
	store, rec, _ := changelog.Record(row, 1000)
	fmt.Printf("store %d: %s at %d, null %v\n", store, rec.Key, rec.TimestampMs, rec.Value == nil)
	back, _, _ := changelog.AppendRow(nil, store, rec)
	fmt.Printf("%q\n", back.Key)
	// Output:
	// store 3: alice at 1000, null true
	// "\x00\x03alice"
}
