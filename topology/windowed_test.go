package topology_test

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

const ms = time.Millisecond

var (
	perKey   = topology.WindowKV("per-key", serde.String, serde.Int64)
	windowed = topology.NewTopic("windowed", topology.WindowedSerde(serde.String, 10*ms), serde.Int64)
	lateOnes = topology.NewTopic("late", serde.String, serde.Int64)
)

// windowCount counts payments in windows, and writes what comes late elsewhere.
func windowCount(w topology.Windows, opts ...topology.Option) func(b *topology.Builder) {
	return func(b *topology.Builder) {
		counts := topology.CountWindowed(topology.From(b, payments).GroupByKey(), w, perKey, opts...)
		counts.ToStream().To(windowed)
		counts.Late().To(lateOnes)
	}
}

// Goal: tumbling windows take records out of order until stream time reaches their end and the grace, and
// not a millisecond longer; what is late is counted and given out. Method: times around the ends.
func TestTumbling(t *testing.T) {
	r := newRig(t, windowCount(topology.Tumbling(10*ms).Grace(5*ms)), 1)
	for _, at := range []int64{0, 9, 10, 14, 9, 15, 9, 10, 25, 24} {
		send(r, payments, at, "k", at)
	}
	r.want(got(r, windowed), "k[0,10)=1@0 k[0,10)=2@9 k[10,20)=1@10 k[10,20)=2@14 k[0,10)=3@9 "+
		"k[10,20)=3@15 k[10,20)=4@15 k[20,30)=1@25 k[20,30)=2@25")
	r.want(got(r, lateOnes), "k=9@9")
	if r.late["countWindowed-1"] != 1 || r.rows("per-key") != 1 {
		t.Errorf("late %v, %d rows", r.late, r.rows("per-key"))
	}
}

// Goal: hopping windows overlap; a record that is late for some of them is counted by the others, and given
// out once. Method: windows of 10 every 5 without grace.
func TestHopping(t *testing.T) {
	r := newRig(t, windowCount(topology.Hopping(10*ms, 5*ms)), 1)
	for _, at := range []int64{3, 7, 12, 8} {
		send(r, payments, at, "k", at)
	}
	r.want(got(r, windowed), "k[0,10)=1@3 k[0,10)=2@7 k[5,15)=1@7 k[5,15)=2@12 k[10,20)=1@12 k[5,15)=3@12")
	r.want(got(r, lateOnes), "k=8@8")
	if r.late["countWindowed-1"] != 1 {
		t.Errorf("late %v", r.late)
	}
}

// Goal: rows live as long as the retention says, and a filter behind sees that a result was there. Method: a
// retention that is longer than the window, and a HAVING.
func TestWindowRetention(t *testing.T) {
	r := newRig(t, windowCount(topology.Tumbling(10*ms).Retention(30*ms)), 1)
	for _, at := range []int64{1, 11, 21, 29} {
		send(r, payments, at, "k", at)
	}
	if n := r.rows("per-key"); n != 3 {
		t.Errorf("%d rows before the first expires", n)
	}
	send(r, payments, 30, "k", 30)
	if n := r.rows("per-key"); n != 3 {
		t.Errorf("%d rows when the first has expired", n)
	}
	send(r, payments, 1000, "l", 1)
	if n := r.rows("per-key"); n != 1 {
		t.Errorf("%d rows behind a jump", n)
	}
}

// Goal: with EmitFinal each window and key gives one result, when the window is over, in the order of windows
// and keys, and none twice or never over a restart, even if stream time is lost. Method: two keys, a restart
// of each kind in the middle.
func TestEmitFinal(t *testing.T) {
	r := newRig(t, windowCount(topology.Tumbling(10*ms).Grace(5*ms), topology.EmitFinal()), 1)
	send(r, payments, 3, "b", 1)
	send(r, payments, 1, "a", 1)
	send(r, payments, 12, "a", 1)
	send(r, payments, 9, "b", 1)
	r.want(got(r, windowed), "")
	r.restart(true)
	send(r, payments, 15, "c", 1)
	r.want(got(r, windowed), "a[0,10)=1@1 b[0,10)=2@9")
	r.restart(false)
	send(r, payments, 9, "b", 1)
	r.want(got(r, windowed), "")
	r.want(got(r, lateOnes), "b=1@9")
	send(r, payments, 25, "c", 1)
	r.want(got(r, windowed), "a[10,20)=1@12 c[10,20)=1@15")
	send(r, payments, 100, "c", 1)
	r.want(got(r, windowed), "c[20,30)=1@25")
}

// Goal: a record that another source brings moves stream time for all operators of the task: final results
// come when time has passed, not when the key is seen again. Method: a second source.
func TestFinalByOtherSource(t *testing.T) {
	ticks := topology.NewTopic("ticks", serde.String, serde.Int64)
	r := newRig(t, func(b *topology.Builder) {
		none := topology.From(b, ticks).Filter(func(string, int64) bool { return false })
		s := topology.From(b, payments).Merge(none)
		topology.CountWindowed(s.GroupByKey(), topology.Tumbling(10*ms), perKey, topology.EmitFinal()).
			ToStream().To(windowed)
	}, 1)
	send(r, payments, 3, "a", 1)
	send(r, ticks, 10, "t", 1)
	r.want(got(r, windowed), "a[0,10)=1@3")
}

// Goal: windows behind a changed key count over all partitions; a HAVING filter on a windowed table deletes
// what leaves it. Method: the fraud example of four attempts in a window.
func TestFraud(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		byValue := topology.GroupBy(topology.From(b, Lines), serde.String, func(_, v string) string { return v })
		counts := topology.CountWindowed(byValue, topology.Tumbling(10*ms), perKey).
			Filter(func(_ topology.Windowed[string], n int64) bool { return n > 3 })
		topology.Map(counts.ToStream(), func(w topology.Windowed[string], n int64) (string, int64) {
			return w.Key, n
		}).To(sums)
	}, 4)
	for i := range int64(5) {
		send(r, Lines, i, string(rune('a'+i)), "4111")
		send(r, Lines, i, string(rune('a'+i)), string(rune('0'+i)))
	}
	r.want(got(r, sums), "4111=4@3 4111=5@4")
}

// Goal: reductions and aggregates in windows; records without key or value, or from before 1970, are skipped.
// Method: one of each.
func TestWindowedForms(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		g := topology.From(b, payments).GroupByKey()
		most := topology.ReduceWindowed(g, topology.Tumbling(10*ms), func(a, b int64) int64 { return max(a, b) },
			topology.WindowKV("most", serde.String, serde.Int64))
		most.ToStream().To(windowed)
		sum := topology.AggregateWindowed(g, topology.Tumbling(10*ms), func() int64 { return 100 },
			func(_ string, v, a int64) int64 { return a + v }, perKey)
		topology.MapTableValues(sum.Table, func(v int64) int64 { return -v }).ToStream().
			To(topology.NewTopic("sums-out", topology.WindowedSerde(serde.String, 10*ms), serde.Int64))
	}, 1)
	send(r, payments, 1, "k", 3)
	send(r, payments, 2, "k", 7)
	send(r, payments, 3, "k", 5)
	send(r, payments, -3, "k", 5)
	tombstone(r, payments, 4, "k")
	r.raw(payments.Name, record.Record{TimestampMs: 5, Value: make([]byte, 8)})
	r.want(got(r, windowed), "k[0,10)=3@1 k[0,10)=7@2 k[0,10)=7@3")
	sumsOut := topology.NewTopic("sums-out", topology.WindowedSerde(serde.String, 10*ms), serde.Int64)
	r.want(got(r, sumsOut), "k[0,10)=-103@1 k[0,10)=-110@2 k[0,10)=-115@3")
	for _, why := range []string{"null key", "null value", "time before 1970"} {
		if r.skipped["reduceWindowed-1: "+why] != 1 {
			t.Errorf("skipped %v", r.skipped)
		}
	}
}

// Goal: the rows of a window store are read with its handle. Method: decode what a task keeps.
func TestWindowStoreRows(t *testing.T) {
	r := newRig(t, windowCount(topology.Tumbling(10*ms), topology.EmitFinal()), 1)
	send(r, payments, 3, "a", 1)
	send(r, payments, 13, "b", 1)
	rows := r.tasks["0_0"].stores["per-key"].rows
	key, err := perKey.AppendKey(nil, "app", "b", time.UnixMilli(10))
	if err != nil {
		t.Fatal(err)
	}
	v, at, err := perKey.DecodeValue("app", rows[string(key)])
	if err != nil || v != 1 || at.UnixMilli() != 13 {
		t.Errorf("row is %d at %s, %v", v, at, err)
	}
	marks := 0
	for row := range rows {
		k, start, ok, err := perKey.DecodeKey("app", []byte(row))
		switch {
		case err != nil:
			t.Error(err)
		case !ok:
			marks++
		case k != "b" || start.UnixMilli() != 10:
			t.Errorf("row of %s at %s", k, start)
		}
	}
	if marks != 1 || len(rows) != 2 {
		t.Errorf("%d rows, %d marks", len(rows), marks)
	}
}
