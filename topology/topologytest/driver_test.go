package topologytest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

var (
	from = topology.NewTopic("from", serde.String, serde.String)
	to   = topology.NewTopic("to", serde.String, serde.String)
)

// recorder is a testing.TB that notes what a driver complains about.
type recorder struct {
	testing.TB
	complaints []string
	cleanups   []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return context.Background() }
func (r *recorder) Cleanup(f func())         { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, a ...any) {
	r.complaints = append(r.complaints, fmt.Sprintf(f, a...))
}

func (r *recorder) Fatalf(f string, a ...any) {
	r.Errorf(f, a...)
	panic(r)
}

// complain runs f and returns what a driver on a copying topology complained about.
func complain(t *testing.T, f func(d *Driver), opts ...Option) string {
	t.Helper()
	b := topology.NewBuilder("app")
	topology.TryMapValues(topology.From(b, from),
		func(_ context.Context, r topology.Record[string, string]) (string, error) {
			if r.Value == "bad" {
				return "", fmt.Errorf("bad")
			}
			return r.Value, nil
		}).To(to)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		f(New(r, topo, opts...))
		for _, c := range r.cleanups {
			c()
		}
	}()
	return strings.Join(r.complaints, "\n")
}

func send(d *Driver, values ...string) {
	for _, v := range values {
		Send(d, from, v[:1], v)
	}
}

// Goal: Expect finds what is wrong and takes what is right, with any interleaving of partitions. Method: a
// table of both; this is the negative control of all tests that use it.
func TestExpect(t *testing.T) {
	a1, a2, b1 := P("a", "a1"), P("a", "a2"), P("b", "b1")
	apart := func(n int) Option { // "a" and "b" are in different partitions of two
		if record.PartitionFor([]byte("a"), n) == record.PartitionFor([]byte("b"), n) {
			t.Fatalf("keys meet in one of %d partitions", n)
		}
		return Partitions(n)
	}
	for name, c := range map[string]struct {
		sent []string
		want []Pair[string, string]
		opts []Option
		says string // "": nothing
	}{
		"right":     {[]string{"a1", "a2"}, []Pair[string, string]{a1, a2}, nil, ""},
		"nothing":   {nil, nil, nil, ""},
		"wrong":     {[]string{"a1"}, []Pair[string, string]{a2}, nil, "expected record 0 is a → a2"},
		"missing":   {[]string{"a1"}, []Pair[string, string]{a1, a2}, nil, "expected record 1 is a → a2"},
		"more":      {[]string{"a1", "a2"}, []Pair[string, string]{a1}, nil, "there are more"},
		"order":     {[]string{"a1", "b1"}, []Pair[string, string]{b1, a1}, nil, "expected record 0"},
		"one lane":  {[]string{"a1", "a2"}, []Pair[string, string]{a2, a1}, []Option{apart(3)}, "expected record 0"},
		"two lanes": {[]string{"a1", "b1"}, []Pair[string, string]{b1, a1}, []Option{apart(3)}, ""},
		"null":      {[]string{"a1"}, []Pair[string, string]{{Key: "a", NullValue: true}}, nil, "a → null"},
		"failure":   {[]string{"bad"}, nil, nil, "process at tryMapValues-1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := complain(t, func(d *Driver) {
				send(d, c.sent...)
				Expect(d, to, c.want...)
			}, c.opts...)
			if c.says == "" && got != "" || !strings.Contains(got, c.says) {
				t.Errorf("complains %q, expected %q", got, c.says)
			}
		})
	}
}

// Goal: what at-least-once means can be seen: a crash repeats what was not committed, and nothing else.
// Method: a record committed, one not; then a crash.
func TestCrashRepeats(t *testing.T) {
	got := complain(t, func(d *Driver) {
		send(d, "a1")
		d.Advance(time.Second)
		send(d, "a2")
		Expect(d, to, P("a", "a1"), P("a", "a2"))
		if c := d.Committed("from", 0); c == task.NotCommitted {
			t.Error("nothing is committed after a second")
		}
		before := d.Committed("from", 0)
		send(d, "a3")
		d.Crash()
		again := Read(d, to)
		if len(again) < 2 || again[0].Value != "a3" || d.Committed("from", 0) <= before {
			t.Errorf("after the crash: %v, committed %d then %d", again, before, d.Committed("from", 0))
		}
		d.Stop()
		d.Restart()
		ExpectNone(d, to)
	})
	if got != "" {
		t.Error(got)
	}
}

// Goal: what cannot work is said, not ignored. Method: a topic without partitions, and one that lacks a
// serde.
func TestMisuse(t *testing.T) {
	if got := complain(t, func(d *Driver) { send(d, "a") }, TopicPartitions("from", 0)); !strings.Contains(got,
		"topic from has no partitions") {
		t.Errorf("complains %q", got)
	}
	bare := topology.Topic[string, struct{}]{Name: "to"}
	if got := complain(t, func(d *Driver) { Read(d, bare) }); !strings.Contains(got, "topic to has no serde") {
		t.Errorf("complains %q", got)
	}
}
