package topology_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// windowing is a processor on a store of windows.
type windowing struct {
	store topology.WindowStore[string, int64]
	rows  *topology.WindowRows[string, int64]
	do    func(*windowing, *stringContext, texts) error
}

func (w *windowing) Init(c *stringContext) (err error) {
	w.rows, err = topology.OpenWindow(c, w.store)
	return err
}

func (w *windowing) Process(c *stringContext, r texts) error { return w.do(w, c, r) }
func (w *windowing) Close() error                            { return nil }

func windowed1(store topology.WindowStore[string, int64], do func(*windowing, *stringContext, texts) error,
	using ...topology.StoreHandle) func(*topology.Builder) {
	return func(b *topology.Builder) {
		topology.Process(topology.From(b, Lines), func() topology.Processor[string, string, string, string] {
			return &windowing{store: store, do: do}
		}, topology.Using(using...)).To(Upper)
	}
}

// ownWindows is a store that a processor has for itself: windows of 10 ms every 5 ms, kept for 30 ms.
var ownWindows = topology.WindowKV("own", serde.String, serde.Int64, topology.ForWindows(
	topology.Hopping(10*time.Millisecond, 5*time.Millisecond).Retention(30*time.Millisecond)))

// countByHand counts a record in its windows, and forwards the number of those that have expired.
func countByHand(w *windowing, c *stringContext, r texts) error {
	expired := 0
	for _, start := range w.rows.Starts(r.Time) {
		n, _, err := w.rows.Get(r.Key, start)
		if err != nil {
			return err
		}
		kept, err := w.rows.PutAt(r.Key, start, n+1, r.Time)
		if err != nil {
			return err
		}
		if !kept {
			expired++
		}
	}
	c.Forward(texts{Key: r.Key, Value: fmt.Sprint(expired), Meta: r.Meta})
	return nil
}

// Goal: a processor keeps windows of its own over restarts, crashes and a lost disk; they expire by stream time, and
// what has expired takes nothing. Method: counts by hand, with the store looked into.
func TestProcessorOwnWindows(t *testing.T) {
	d := drive(t, windowed1(ownWindows, countByHand, ownWindows), topologytest.Partitions(1))
	at := func(ms int64) topology.Meta { return topology.Meta{Time: time.UnixMilli(ms)} }
	put := func(ms int64, key string) string {
		topologytest.SendRecord(d, Lines, texts{Key: key, Value: "v", Meta: at(ms)})
		d.Advance(time.Second)
		return topologytest.Read(d, Upper)[0].Value
	}
	kept := func() (found string) {
		for _, w := range topologytest.StoreWindows(d, ownWindows) {
			found += fmt.Sprint(w.Key.Key, w.Key.Start.UnixMilli(), "=", w.Value, " ")
		}
		return strings.TrimSpace(found)
	}
	put(12, "a")
	put(3, "b")
	d.Crash()
	put(13, "a")
	if got, want := kept(), "b0=1 a5=2 a10=2"; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
	d.LoseState()
	put(36, "a")
	if got, want := kept(), "a10=2 a30=1 a35=1"; got != want { // 0 and 5 have expired
		t.Errorf("kept %s, want %s", got, want)
	}
	if expired := put(12, "a"); expired != "1" {
		t.Errorf("%s windows of 12 have expired, want that of 5", expired)
	}
	if n, ok := topologytest.StoreWindow(d, ownWindows, "a", time.UnixMilli(10)); n != 3 || !ok {
		t.Errorf("window of 10: %d, %v", n, ok)
	}
}

// Goal: a processor walks over the windows of an operator in their order, of one key and of all, between bounds and
// backwards, changes them, and never meets the row with which the operator keeps its place. Method: a command for each.
func TestProcessorReadsWindows(t *testing.T) {
	list := func(e *topology.Entries[topology.Windowed[string], int64], backwards bool) (string, error) {
		rows, found := e.Rows(), ""
		if backwards {
			rows = e.Backwards()
		}
		for w, n := range rows {
			found += fmt.Sprint(w.Key, w.Start.UnixMilli(), "-", w.End.UnixMilli(), "=", n, " ")
		}
		return strings.TrimSpace(found), e.Err()
	}
	ask := func(w *windowing, c *stringContext, r texts) (err error) {
		found, ms := "", time.UnixMilli
		switch r.Value {
		case "scan":
			found, err = list(w.rows.Scan(ms(0), time.Time{}), false)
		case "back":
			found, err = list(w.rows.Scan(ms(10), ms(131)), true)
		case "range":
			found, err = list(w.rows.Range(r.Key, ms(0), time.Time{}), false)
		case "delete":
			err = w.rows.Delete(r.Key, ms(130))
		case "put":
			var kept bool
			kept, err = w.rows.Put(r.Key, ms(20), 100)
			found = fmt.Sprint(kept)
		case "get":
			n, at, ok, getErr := w.rows.GetAt(r.Key, ms(30))
			found, err = fmt.Sprint(n, at.UnixMilli(), ok), getErr
		}
		c.Forward(texts{Key: r.Key, Value: found, Meta: r.Meta})
		return err
	}
	r := newRig(t, func(b *topology.Builder) {
		windowed1(perKey, ask, perKey)(b)
		topology.CountWindowed(topology.From(b, lefts).GroupByKey(),
			topology.Tumbling(10*time.Millisecond).Grace(100*time.Millisecond), perKey, topology.EmitFinal())
	}, 1)
	for _, at := range []int64{1, 12, 13, 24, 35, 130} {
		send(r, lefts, at, "k", "v")
	}
	send(r, lefts, 31, "l", "v")
	for _, c := range []string{"scan", "back", "range", "put", "get", "delete", "scan"} {
		send(r, Lines, 132, "k", c)
	}
	r.want(got(r, Upper), "k=k30-40=1 l30-40=1 k130-140=1@132 k=k130-140=1 l30-40=1 k30-40=1@132 "+
		"k=k30-40=1 k130-140=1@132 k=false@132 k=1 35 true@132 k=@132 k=k30-40=1 l30-40=1@132")
}

// Goal: misuse is an error that says what to do: at Build where it shows there, else where the store is opened or
// asked. Method: one of each.
func TestOpenWindowMisuse(t *testing.T) {
	nothing := func(*windowing, *stringContext, texts) error { return nil }
	none := topology.WindowKV("own", serde.String, serde.Int64)
	bad := topology.WindowKV("own", serde.String, serde.Int64, topology.ForWindows(topology.Tumbling(-1)))
	for want, f := range map[string]func(*topology.Builder){
		"say with topology.ForWindows which windows it has": windowed1(none, nothing, none),
		"size of windows is -1ns":                           windowed1(bad, nothing, bad),
		"is declared ForWindows other than those of the operator": func(b *topology.Builder) {
			topology.CountWindowed(topology.From(b, Lines).GroupByKey(), topology.Tumbling(time.Second), ownWindows)
		},
		`is declared otherwise by countWindowed`: func(b *topology.Builder) {
			topology.CountWindowed(topology.From(b, lefts).GroupByKey(), topology.Tumbling(time.Second), none)
			windowed1(ownWindows, nothing, ownWindows)(b)
		},
	} {
		b := topology.NewBuilder("app")
		f(b)
		if _, err := b.Build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("built with %v, want %q", err, want)
		}
	}
	buffer := topology.WindowKV("pairs-left", serde.String, serde.Int64)
	d := drive(t, func(b *topology.Builder) {
		numbers := topology.NewTopic("numbers", serde.String, serde.Int64)
		topology.JoinStream(topology.From(b, numbers), topology.From(b, rights), topology.Within(time.Second), "pairs",
			func(int64, string) string { return "" }).To(pairsOut)
		windowed1(buffer, nothing, buffer)(b)
	})
	if err := d.Failed(); err == nil || !strings.Contains(err.Error(), "is the buffer of a join") {
		t.Errorf("the buffer of a join opens with %v", err)
	}
	d = drive(t, windowed1(ownWindows, nothing))
	if err := d.Failed(); err == nil || !strings.Contains(err.Error(), "which it is not connected to") {
		t.Errorf("an unconnected store opens with %v", err)
	}
	d = drive(t, windowed1(ownWindows, func(w *windowing, _ *stringContext, r texts) error {
		_, err := w.rows.Put(r.Key, time.UnixMilli(7), 1)
		return err
	}, ownWindows))
	topologytest.Send(d, Lines, "k", "v")
	if err := d.Failed(); fault.CodeOf(err) != fault.InvalidRequest ||
		!strings.Contains(err.Error(), `no window of store "own" begins at 1970-01-01T00:00:00.007Z; Starts tells`) {
		t.Errorf("a window that is none: %v", err)
	}
}
