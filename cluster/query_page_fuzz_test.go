package cluster

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/mem"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/query"
	"github.com/millstream-io/millstream/topology/task"
	"github.com/millstream-io/millstream/topology/window"
)

// pagesWorld is a store of three tasks in memory, between two others, and all its rows.
type pagesWorld struct {
	t    *queried
	rows []query.Row // by partition and key
}

func newPagesWorld(t *testing.T, r *rand.Rand, windows bool) *pagesWorld {
	t.Helper()
	store := &plan.Store{Name: "s", Number: 1}
	if windows {
		store.Kind, store.Window = plan.StoreWindow, time.Second
	}
	a := newHostedApp(&plan.Graph{App: "app", Stores: []*plan.Store{store}}, nil, nil)
	w := &pagesWorld{t: &queried{app: a, store: store, tasks: 3, spread: 3}}
	for p := range record.Partition(3) {
		db := mem.New()
		t.Cleanup(func() { _ = db.Close() })
		var rows []state.StateRow
		for _, other := range []uint16{0, 2} {
			rows = append(rows, state.StateRow{Key: state.RowKey(nil, other, []byte("x")), Value: []byte("of another store")})
		}
		keys := map[string]bool{}
		for range r.IntN(40) {
			keys[string(someKey(r, windows))] = true
		}
		for k := range keys {
			v := fmt.Append(nil, p, k)
			rows = append(rows, state.StateRow{Key: state.RowKey(nil, 1, []byte(k)), Value: v})
			w.rows = append(w.rows, query.Row{Partition: p, Key: []byte(k), Value: v})
		}
		if windows {
			rows = append(rows, state.StateRow{Key: state.RowKey(nil, 1, window.Mark()), Value: []byte("place")})
		}
		if err := db.Apply(rows, nil); err != nil {
			t.Fatal(err)
		}
		a.tasks[fmt.Sprintf("0_%d", p)] = &hostedTask{state: TaskRunning, view: task.NewView(db, nil)}
	}
	slices.SortFunc(w.rows, func(a, b query.Row) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return bytes.Compare(a.Key, b.Key)
	})
	return w
}

// someKey is one of few short keys, also the empty one, so that they meet.
func someKey(r *rand.Rand, windows bool) []byte {
	k := []byte("aab\x00\xff")[:r.IntN(6)]
	if windows {
		return window.AppendKey(nil, int64(r.IntN(5))*1000, k)
	}
	return append(slices.Clone(k), byte(r.IntN(4)))[r.IntN(2):]
}

// want is what a scan has to give, by looking at every row.
func (w *pagesWorld) want(s query.Scan) (out []query.Row) {
	only := s.Partition
	if s.Of != nil && only == query.AnyPartition {
		only = w.t.owner(s.Of)
	}
	for p := range record.Partition(3) {
		var of []query.Row
		for _, row := range w.rows {
			inside := bytes.Compare(row.Key, s.Lo) >= 0 && (s.Hi == nil || bytes.Compare(row.Key, s.Hi) < 0)
			wanted := s.Of == nil || bytes.Equal(row.Key[8:], s.Of)
			if row.Partition == p && inside && wanted && (only == query.AnyPartition || only == p) {
				of = append(of, row)
			}
		}
		if s.Reverse {
			slices.Reverse(of)
		}
		out = append(out, of...)
	}
	return out
}

// Goal: a scan in pages gives each row that it should once and in order, whatever its bounds, direction, key and page
// size are, and pages end. Method: small stores by seed against a scan that looks at every row.
func FuzzPages(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		windows := r.IntN(2) == 0
		w := newPagesWorld(t, r, windows)
		s := query.Scan{
			Partition: record.Partition(r.IntN(4) - 1), Reverse: r.IntN(2) == 0, MaxBytes: 1 + r.IntN(300),
		}
		if r.IntN(2) == 0 {
			s.Lo = someKey(r, windows)
		}
		if r.IntN(2) == 0 {
			s.Hi = someKey(r, windows)
		}
		if windows && r.IntN(2) == 0 {
			s.Of = someKey(r, true)[8:]
		}
		want := w.want(s)
		var got []query.Row
		for pages := 0; ; pages++ {
			page, err := w.t.page(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page.Rows...)
			if !page.More {
				break
			}
			if s.From = page.Next; pages > len(w.rows)+3 {
				t.Fatalf("pages without an end: %+v", s)
			}
		}
		same := func(a, b query.Row) bool {
			return a.Partition == b.Partition && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
		}
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("seed %d, %+v:\n got %q\nwant %q", seed, s, got, want)
		}
	})
}
