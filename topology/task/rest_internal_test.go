package task

import (
	"fmt"
	"testing"
)

// Goal: layers that a burst has made large are small again when the task rests, and not while their rows are on the
// way; small ones are kept. Method: many rows, and few, through freeze, thaw and rest.
func TestRest(t *testing.T) {
	for rows, again := range map[int]bool{10: false, 10_000: true} {
		d := newDirty()
		for i := range rows {
			d.put(fmt.Append(nil, "key", i), []byte("value"))
		}
		d.freeze()
		d.rest()
		if d.frozen.find(hashOf([]byte("key7")), []byte("key7")) == nil {
			t.Fatalf("%d rows: a frozen row is gone", rows)
		}
		before := d.frozen
		d.thaw()
		d.rest()
		if fresh := d.spare != before; fresh != again || cap(d.spare.rows) > restRows {
			t.Errorf("%d rows: begun anew %v, room for %d rows", rows, fresh, cap(d.spare.rows))
		}
		d.put([]byte("k"), []byte("v"))
		if r := d.find([]byte("k")); r == nil || string(r.value) != "v" {
			t.Errorf("%d rows: after a rest %+v", rows, r)
		}
	}
}
