package remote_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/query"
)

var (
	visits   = topology.NewTopic("visits", serde.String, serde.String)
	perUser  = topology.KV("per-user", serde.String, serde.Int64)
	perPage  = topology.KV("per-page", serde.String, serde.Int64, topology.InMemory())
	perHour  = topology.WindowKV("per-hour", serde.String, serde.Int64)
	visitsAt = time.UnixMilli(1_700_000_000_000).Truncate(time.Hour)
)

// counting is application "shop": visits by user (the key), by page (the value), and by user and hour.
func counting(t testing.TB) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder("shop")
	in := topology.From(b, visits, topology.FromEarliest())
	byUser := in.GroupByKey()
	byUser.Count(perUser)
	topology.CountWindowed(byUser, topology.Tumbling(time.Hour).Grace(24*time.Hour), perHour)
	topology.GroupBy(in, serde.String, func(_, page string) string { return page }).Count(perPage)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// shop is a member that runs an application, and every way to query it.
type shop struct {
	*world
	ways map[string]topology.Querier
	end  func() error // of the run
}

func openShop(t *testing.T, topo *topology.Topology) *shop {
	t.Helper()
	s := &shop{world: &world{t: t}}
	s.start(cluster.Config{GRPC: ":0", DataDir: t.TempDir()})
	far, err := remote.Dial(within(t), s.member.GRPCAddr())
	if err != nil {
		t.Fatal(err)
	}
	s.ways = map[string]topology.Querier{"member": s.member, "in-process": s.member.Client(), "grpc": s.keep(far)}
	s.topic(s.member.Client(), "visits", 3)
	s.run(topo)
	t.Cleanup(func() { _ = s.end() })
	return s
}

// run begins the application and returns when the member knows it.
func (s *shop) run(topo *topology.Topology) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.member.Run(ctx, topo) }()
	s.end = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	eventually(s.t, "the member knows the application", func() bool {
		_, err := s.member.DescribeApp(within(s.t), "shop", false)
		return err == nil
	})
}

// visit writes one visit.
func (s *shop) visit(user, page string, at time.Time) {
	s.t.Helper()
	r := client.Record{Topic: "visits", Key: []byte(user), Value: []byte(page), TimestampMs: at.UnixMilli()}
	if _, err := s.member.Client().Produce(within(s.t), r); err != nil {
		s.t.Fatal(err)
	}
}

// all collects rows, or the error that ended them.
func all[K, V any](rows iter.Seq2[topology.Row[K, V], error]) (out []string, err error) {
	for r, err := range rows {
		if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("%d %v=%v@%d", r.Partition, r.Key, r.Value, r.Time.UnixMilli()))
	}
	return out, nil
}

// awaitSum waits until the rows of a store add up.
func awaitSum(s *shop, store topology.Store[string, int64], want int64) {
	s.t.Helper()
	eventually(s.t, "all visits are counted in "+store.Name(), func() bool {
		var sum int64
		for r, err := range topology.Scan(within(s.t), s.member, "shop", store) {
			if err != nil {
				return false // the tasks have not begun yet
			}
			sum += r.Value
		}
		return sum == want
	})
}

// fill writes visits of 40 users in 5 hours, and waits until they are counted.
func (s *shop) fill() (users map[string]int64) {
	users = map[string]int64{}
	for i := range 200 {
		u := fmt.Sprintf("u%02d", i%40)
		s.visit(u, fmt.Sprintf("p%d", i%7), visitsAt.Add(time.Duration(i/40)*time.Hour))
		users[u]++
	}
	awaitSum(s, perUser, 200)
	awaitSum(s, perPage, 200)
	return users
}

// Goal: all queries give the same by every way, and what was counted: keys by their task, ranges in order, pages
// without gaps or repetitions, windows with their bounds and event times. Method: 200 visits; each query by each way,
// in pages of all sizes.
func TestQueriesAgree(t *testing.T) {
	t.Parallel()
	s := openShop(t, counting(t))
	users := s.fill()
	ctx := within(t)
	first := map[string][]string{}
	for _, way := range slices.Sorted(maps.Keys(s.ways)) {
		q := s.ways[way]
		for u, want := range users {
			r, ok, err := topology.GetRow(ctx, q, "shop", perUser, u)
			if err != nil || !ok || r.Value != want || !r.Time.Equal(visitsAt.Add(4*time.Hour)) {
				t.Fatalf("%s: %s: %+v, %t, %v", way, u, r, ok, err)
			}
			if want := record.PartitionFor([]byte(u), 3); r.Partition != want {
				t.Fatalf("%s: %s is in partition %d, not %d", way, u, r.Partition, want)
			}
		}
		if _, ok, err := topology.Get(ctx, q, "shop", perUser, "nobody"); ok || err != nil {
			t.Fatalf("%s: nobody: %t, %v", way, ok, err)
		}
		if n, ok, err := topology.Get(ctx, q, "shop", perPage, "p0"); n != 29 || !ok || err != nil {
			t.Fatalf("%s: a store in memory: %d, %t, %v", way, n, ok, err)
		}
		for name, rows := range s.scans(ctx, q) {
			if first[name] == nil {
				first[name] = rows
			}
			if !slices.Equal(rows, first[name]) {
				t.Errorf("%s: %s differs:\n%v\n%v", way, name, rows, first[name])
			}
		}
	}
	wantScans(t, first)
}

// scans asks for rows in every way there is. Page sizes must not matter: they are compared here.
func (s *shop) scans(ctx context.Context, q topology.Querier) map[string][]string {
	s.t.Helper()
	out := map[string][]string{}
	for _, size := range []int{0, 1, 100, 1000} {
		page := topology.PageBytes(size)
		from, to := visitsAt.Add(time.Hour), visitsAt.Add(3*time.Hour)
		for name, ask := range map[string]func() ([]string, error){
			"scan": func() ([]string, error) { return all(topology.Scan(ctx, q, "shop", perUser, page)) },
			"backwards": func() ([]string, error) {
				return all(topology.Scan(ctx, q, "shop", perUser, page, topology.Backwards()))
			},
			"range": func() ([]string, error) { return all(topology.Range(ctx, q, "shop", perUser, "u05", "u08", page)) },
			"one": func() ([]string, error) {
				return all(topology.Scan(ctx, q, "shop", perUser, page, topology.OnPartition(1)))
			},
			"windows": func() ([]string, error) { return all(topology.WindowScan(ctx, q, "shop", perHour, from, to, page)) },
			"key": func() ([]string, error) {
				return all(topology.WindowRange(ctx, q, "shop", perHour, "u05", from, time.Time{}, page))
			},
			"key backwards": func() ([]string, error) {
				return all(topology.WindowRange(ctx, q, "shop", perHour, "u05", time.Time{}, to, page, topology.Backwards()))
			},
			"no such key": func() ([]string, error) {
				return all(topology.WindowRange(ctx, q, "shop", perHour, "nobody", time.Time{}, time.Time{}, page))
			},
		} {
			rows, err := ask()
			if err != nil {
				s.t.Fatalf("%s in pages of %d: %v", name, size, err)
			}
			if was, ok := out[name]; ok && !slices.Equal(was, rows) {
				s.t.Errorf("%s in pages of %d:\n%v\n%v", name, size, rows, was)
			}
			out[name] = rows
		}
	}
	return out
}

func wantScans(t *testing.T, got map[string][]string) {
	t.Helper()
	for name, n := range map[string]int{"scan": 40, "backwards": 40, "range": 3, "windows": 80, "no such key": 0} {
		if len(got[name]) != n {
			t.Errorf("%s has %d rows, want %d:\n%v", name, len(got[name]), n, got[name])
		}
	}
	if !slices.IsSorted(got["scan"]) || slices.IsSorted(got["backwards"]) {
		t.Errorf("the order is wrong:\n%v\n%v", got["scan"], got["backwards"])
	}
	ordered := slices.Sorted(slices.Values(got["backwards"]))
	if !slices.Equal(ordered, got["scan"]) || len(slices.Compact(ordered)) != 40 {
		t.Errorf("backwards has other rows: %v", got["backwards"])
	}
	var key []string
	p := record.PartitionFor([]byte("u05"), 3)
	for h := 1; h < 5; h++ {
		at := visitsAt.Add(time.Duration(h) * time.Hour)
		w := topology.Windowed[string]{Key: "u05", Start: at, End: at.Add(time.Hour)}
		key = append(key, fmt.Sprintf("%d %v=1@%d", p, w, at.UnixMilli()))
	}
	if !slices.Equal(got["key"], key) {
		t.Errorf("windows of a key:\n%v\n%v", got["key"], key)
	}
	if back := got["key backwards"]; len(back) != 3 || back[0] != key[1] || back[1] != key[0] {
		t.Errorf("windows of a key backwards: %v", back)
	}
}

// Goal: every refusal is the same by every way: code, words and hint. Method: a table of questions that have no
// answer.
func TestQueryRefusals(t *testing.T) {
	t.Parallel()
	s := openShop(t, counting(t))
	s.fill()
	ctx := within(t)
	get := func(q topology.Querier, app, store string) error {
		_, _, err := topology.Get(ctx, q, app, topology.KV(store, serde.String, serde.Int64), "k")
		return err
	}
	for name, tt := range map[string]struct {
		code fault.Code
		says string
		ask  func(q topology.Querier) error
	}{
		"app":   {fault.UnknownApp, `"none" does not run`, func(q topology.Querier) error { return get(q, "none", "per-user") }},
		"store": {fault.UnknownStore, "it has: per-hour, per-page, per-user", func(q topology.Querier) error { return get(q, "shop", "x") }},
		"kind":  {fault.InvalidRequest, "is a window store", func(q topology.Querier) error { return get(q, "shop", "per-hour") }},
		"windows of a table": {fault.InvalidRequest, "is a key-value store", func(q topology.Querier) error {
			_, _, err := topology.WindowGet(ctx, q, "shop", topology.WindowKV("per-user", serde.String, serde.Int64), "k", visitsAt)
			return err
		}},
		"encoding": {fault.InvalidRequest, "values of store", func(q topology.Querier) error {
			_, _, err := topology.Get(ctx, q, "shop", topology.KV("per-user", serde.String, serde.String), "k")
			return err
		}},
		"partition": {fault.InvalidRequest, "has no partition 3", func(q topology.Querier) error {
			_, _, err := topology.Get(ctx, q, "shop", perUser, "k", topology.OnPartition(3))
			return err
		}},
		"null key": {fault.InvalidRequest, "a null key", func(q topology.Querier) error {
			_, _, err := topology.Get(ctx, q, "shop", topology.KV("per-user", serde.Bytes, serde.Int64), nil)
			return err
		}},
		"no window": {fault.InvalidRequest, "before 1970", func(q topology.Querier) error {
			_, _, err := topology.WindowGet(ctx, q, "shop", perHour, "k", time.UnixMilli(-1))
			return err
		}},
		"windows of no window store": {fault.InvalidRequest, "no windows", func(q topology.Querier) error {
			_, err := q.QueryPage(ctx, query.Scan{Target: query.Target{App: "shop", Store: "per-user"}, Of: []byte("k")})
			return err
		}},
	} {
		told1 := ""
		for _, way := range slices.Sorted(maps.Keys(s.ways)) {
			err := tt.ask(s.ways[way])
			if fault.CodeOf(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("%s, %s: %v", name, way, err)
			}
			if told1 == "" {
				told1 = told(err)
			}
			if told(err) != told1 {
				t.Errorf("%s: %s says %q, others %q", name, way, told(err), told1)
			}
		}
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	for way, q := range s.ways {
		if _, err := all(topology.Scan(over, q, "shop", perUser)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: a scan without time: %v", way, err)
		}
	}
}
