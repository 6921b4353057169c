package remote_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/query"
)

// admins are clients of the shop's member.
func (s *shop) admins() map[string]*client.Client {
	out := map[string]*client.Client{}
	for way, q := range s.ways {
		if c, ok := q.(*client.Client); ok {
			out[way] = c
		}
	}
	return out
}

// Goal: an application is listed, described and drawn the same by every way, paused and resumed, and reset only when it
// does not run; a reset one begins anew. Method: one application through all of it; topics of another application
// whose name begins the same stay.
func TestAppLife(t *testing.T) {
	t.Parallel()
	s := openShop(t, counting(t))
	s.fill()
	s.describesAlike()
	ctx := within(t)
	far := s.admins()["grpc"]
	if err := far.PauseApp(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	if l, err := far.Apps(ctx); err != nil || l[0].State != app.Paused || l[0].Running != 6 {
		t.Fatalf("paused: %+v, %v", l, err)
	}
	s.visit("late", "p0", visitsAt)
	d, err := far.DescribeApp(ctx, "shop", false)
	if err != nil || d.LagRecords != 1 || d.Tasks[0].State != app.TaskPaused {
		t.Fatalf("paused: %+v, %v", d, err)
	}
	if _, ok, err := topology.Get(ctx, far, "shop", perUser, "late"); ok || err != nil {
		t.Fatalf("a paused application counts: %t, %v", ok, err)
	}
	if _, err := far.ResetApp(ctx, "shop", true); fault.CodeOf(err) != fault.NonEmptyGroup {
		t.Fatalf("reset of what runs: %v", err)
	}
	if err := far.ResumeApp(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	awaitSum(s, perUser, 201)
	awaitSum(s, perPage, 201)
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	for way, c := range s.admins() {
		if err := c.PauseApp(ctx, "shop"); fault.CodeOf(err) != fault.UnknownApp {
			t.Errorf("%s: pause of what does not run: %v", way, err)
		}
	}
	s.resets()
	s.run(counting(t))
	awaitSum(s, perUser, 201) // it has read everything again
}

func (s *shop) describesAlike() {
	s.t.Helper()
	ctx := within(s.t)
	eventually(s.t, "everything is committed", func() bool {
		d, err := s.member.DescribeApp(ctx, "shop", false)
		return err == nil && d.LagRecords == 0
	})
	want, err := s.member.DescribeApp(ctx, "shop", true)
	if err != nil {
		s.t.Fatal(err)
	}
	rows := map[string]int64{}
	for _, st := range want.Stores {
		rows[st.Name] = st.Rows
	}
	if !maps.Equal(rows, map[string]int64{"per-user": 40, "per-hour": 200, "per-page": 7}) || len(want.Tasks) != 6 ||
		len(want.Subs) != 2 || want.State != app.Running {
		s.t.Fatalf("described: %+v", want)
	}
	for way, c := range s.admins() {
		got, err := c.DescribeApp(ctx, "shop", true)
		for i := range got.Tasks {
			got.Tasks[i].StateBytes = want.Tasks[i].StateBytes // files come and go
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			s.t.Errorf("%s describes\n%+v, %v, want\n%+v", way, got, err, want)
		}
		if _, err := c.DescribeApp(ctx, "none", false); fault.CodeOf(err) != fault.UnknownApp {
			s.t.Errorf("%s: %v", way, err)
		}
		if l, err := c.Apps(ctx); err != nil || len(l) != 1 || l[0] != s.member.ListApps()[0] || l[0].Running != 6 {
			s.t.Errorf("%s lists %+v, %v", way, l, err)
		}
		for _, form := range []string{"text", "ascii", "mermaid", "dot", "json"} {
			text, err := c.DrawApp(ctx, "shop", form)
			if want, _ := s.member.DrawApp("shop", form); err != nil || text != want || !strings.Contains(text, "per-hour") {
				s.t.Errorf("%s draws %s: %q, %v", way, form, text, err)
			}
		}
		if _, err := c.DrawApp(ctx, "shop", "oil"); fault.CodeOf(err) != fault.InvalidRequest {
			s.t.Errorf("%s draws in oil: %v", way, err)
		}
	}
}

func (s *shop) resets() {
	s.t.Helper()
	ctx := within(s.t)
	other := s.member.Client()
	s.topic(other, "shop-two-x-changelog", 1)
	offsets := []client.GroupOffset{{TopicPartition: client.TopicPartition{Topic: "visits"}, Offset: 1}}
	if err := other.SetGroupOffsets(ctx, "shop-two", offsets...); err != nil {
		s.t.Fatal(err)
	}
	topics := []string{
		"shop-per-hour-changelog", "shop-per-page-changelog", "shop-per-page-repartition", "shop-per-user-changelog",
	}
	var plans []app.Reset
	for way, c := range s.admins() {
		r, err := c.ResetApp(ctx, "shop", false)
		if err != nil || r.Done || !slices.Equal(r.Topics, topics) || len(r.States) != 3 || len(r.Offsets) == 0 {
			s.t.Fatalf("%s would reset %+v, %v", way, r, err)
		}
		if plans = append(plans, r); !reflect.DeepEqual(r, plans[0]) {
			s.t.Errorf("%s would reset %+v, another way %+v", way, r, plans[0])
		}
	}
	r, err := s.admins()["grpc"].ResetApp(ctx, "shop", true)
	if err != nil || !r.Done {
		s.t.Fatalf("reset: %+v, %v", r, err)
	}
	for way, c := range s.admins() {
		if _, err := c.ResetApp(ctx, "shop", true); fault.CodeOf(err) != fault.UnknownApp {
			s.t.Errorf("%s resets what is reset: %v", way, err)
		}
		if _, err := c.Topic(ctx, "shop-two-x-changelog"); err != nil {
			s.t.Errorf("the topic of another application has gone: %v", err)
		}
	}
}

// Goal: a query shows what a commit applied and nothing else, also around crashes. Method: count one key 3000 times,
// crashing twice on the way, while others read it by every way; whatever they saw must be in the changelog, and never
// go back. The control: counts that were given out, most of which no commit had, do not pass.
func TestQueriesSeeCommits(t *testing.T) {
	t.Parallel()
	var crashes atomic.Int32
	b := topology.NewBuilder("shop")
	given := topology.NewTopic("given", serde.String, serde.Int64)
	in := topology.From(b, visits, topology.FromEarliest()).Peek(func(_, page string) {
		if (page == "1000" || page == "2000") && crashes.Add(1) <= 2 {
			panic("a crash that the test wants")
		}
	})
	in.GroupByKey().Count(perUser).ToStream().To(given)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	const n = 3000
	s := openShop(t, counting(t))
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.member.Client().CreateTopic(within(t), client.NewTopic{Name: "given", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.member.Client().ResetApp(within(t), "shop", true); err != nil {
		t.Fatal(err)
	}
	s.run(topo)
	for i := range n {
		s.member.Client().ProduceAsync(within(t), client.Record{
			Topic: "visits", Key: []byte("k"), Value: fmt.Append(nil, i),
		}, func(client.Delivery) {})
	}
	seen := s.watch(n)
	committed := map[int64]bool{}
	for _, r := range s.readAll(s.member.Client(), "shop-per-user-changelog") {
		v, _, err := perUser.DecodeValue("shop", r.Value)
		if err != nil {
			t.Fatal(err)
		}
		committed[v] = true
	}
	if err := onlyCommitted(seen, committed); err != nil {
		t.Error(err)
	}
	var all []int64
	for _, r := range s.readAll(s.member.Client(), "given") {
		v, err := serde.Int64.Decode(r.Value, serde.Info{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) <= len(committed) || onlyCommitted(map[string][]int64{"given": all}, committed) == nil {
		t.Errorf("%d counts were given out and %d committed: the check sees no difference", len(all), len(committed))
	}
	if crashes.Load() < 2 {
		t.Errorf("%d crashes", crashes.Load())
	}
}

// watch reads the key by every way until it has the last count.
func (s *shop) watch(last int64) map[string][]int64 {
	s.t.Helper()
	seen := map[string][]int64{}
	eventually(s.t, "every way sees the last count", func() bool {
		there := 0
		for way, q := range s.ways {
			v, ok, err := topology.Get(within(s.t), q, "shop", perUser, "k")
			if err != nil && fault.CodeOf(err) != fault.TaskNotRunning {
				s.t.Fatalf("%s: %v", way, err)
			}
			if ok {
				seen[way] = append(seen[way], v)
			}
			if v == last {
				there++
			}
		}
		return there == len(s.ways)
	})
	return seen
}

// onlyCommitted checks that every count that was seen had been committed, and that none is behind one before it.
func onlyCommitted(seen map[string][]int64, committed map[int64]bool) error {
	for way, counts := range seen {
		for i, v := range counts {
			if !committed[v] {
				return fmt.Errorf("%s saw %d, which no commit has", way, v)
			}
			if i > 0 && counts[i-1] > v {
				return fmt.Errorf("%s saw %d, and then %d", way, counts[i-1], v)
			}
		}
	}
	return nil
}

// Goal: a scan takes no more memory than its pages, and is not lost with a connection: a page can be asked for again
// after a cut. Method: 300 rows of 2 KiB through a proxy that cuts connections at random; the pages that come must have
// each row once, and be small.
func TestScanOverCutConnections(t *testing.T) {
	t.Parallel()
	b := topology.NewBuilder("shop")
	pages := topology.KV("pages", serde.String, serde.String)
	topology.TableFrom(b, visits, pages)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	s := openShop(t, topo)
	for i := range 300 {
		s.visit(fmt.Sprintf("u%03d", i), strings.Repeat("x", 2048), visitsAt)
	}
	eventually(t, "all rows are there", func() bool {
		rows, err := all(topology.Scan(within(t), s.member, "shop", pages))
		return err == nil && len(rows) == 300
	})
	p := newProxy(t, s.member.GRPCAddr())
	c, err := remote.Dial(within(t), p.addr())
	if err != nil {
		t.Fatal(err)
	}
	s.keep(c)
	scan := query.Scan{
		Target: query.Target{App: "shop", Store: "pages"}, Partition: query.AnyPartition, MaxBytes: 16 << 10,
	}
	var keys []string
	failed := 0
	for ask := 0; ; ask++ {
		if ask%7 == 3 {
			p.cutAll()
		}
		page, err := c.QueryPage(within(t), scan)
		if code := fault.CodeOf(err); err != nil && code != fault.Unreachable {
			t.Fatal(err)
		}
		if err != nil {
			failed++
			continue
		}
		size := 0
		for _, r := range page.Rows {
			keys = append(keys, string(r.Key))
			size += len(r.Key) + len(r.Value)
		}
		if size > 16<<10 {
			t.Fatalf("a page has %d bytes", size)
		}
		if !page.More {
			break
		}
		scan.From = page.Next
	}
	slices.Sort(keys)
	if len(keys) != 300 || len(slices.Compact(keys)) != 300 {
		t.Errorf("%d rows came, with %d refused pages", len(keys), failed)
	}
}
