package topology_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// stubborn fails as often as it is told, and then passes values on.
func stubborn[K any](failures *int, s topology.Stream[K, int64]) topology.Stream[K, int64] {
	return topology.TryMapValues(s, func(_ context.Context, r topology.Record[K, int64]) (int64, error) {
		if *failures > 0 {
			*failures--
			return 0, errors.New("not now")
		}
		return r.Value, nil
	}, topology.OnError(topology.RetryAfter(time.Second).Always))
}

// Goal: when what stream time brings about fails behind one operator and is tried again, no other operator
// loses its final results, and each comes once. Method: two windowed counts of the same records, of which the
// second meets a failure; then a third window, to see that both go on.
func TestRetryOfFinalResults(t *testing.T) {
	failures := 0
	windowed2 := topology.NewTopic("windowed2", windowed.Key, windowed.Value)
	r := newRig(t, func(b *topology.Builder) {
		g := topology.From(b, payments).GroupByKey()
		topology.CountWindowed(g, topology.Tumbling(10*ms), perKey, topology.EmitFinal()).ToStream().To(windowed)
		second := topology.CountWindowed(g, topology.Tumbling(10*ms),
			topology.WindowKV("second", serde.String, serde.Int64), topology.EmitFinal())
		stubborn(&failures, second.ToStream()).To(windowed2)
	}, 1)
	send(r, payments, 1, "a", 1)
	send(r, payments, 2, "b", 1)
	failures = 3
	send(r, payments, 11, "a", 1)
	r.want(got(r, windowed), "a[0,10)=1@1 b[0,10)=1@2")
	r.want(got(r, windowed2), "a[0,10)=1@1 b[0,10)=1@2")
	send(r, payments, 25, "a", 1)
	r.want(got(r, windowed), "a[10,20)=1@11")
	r.want(got(r, windowed2), "a[10,20)=1@11")
	if r.retries != 3 || r.rows("per-key") != 2 || r.rows("second") != 2 {
		t.Errorf("%d retries, %d and %d rows", r.retries, r.rows("per-key"), r.rows("second"))
	}
}

// Goal: the same for left records that meet nobody. Method: a left join beside a count that fails.
func TestRetryOfLeftJoin(t *testing.T) {
	failures := 0
	r := newRig(t, func(b *topology.Builder) {
		l := topology.From(b, lefts)
		topology.LeftJoinStream(l, topology.From(b, rights), topology.Within(10*ms), "pairs", glueLeft).To(pairsOut)
		counts := topology.CountWindowed(l.GroupByKey(), topology.Tumbling(10*ms), perKey, topology.EmitFinal())
		stubborn(&failures, counts.ToStream()).To(windowed)
	}, 1)
	send(r, lefts, 1, "a", "x")
	failures = 1
	send(r, lefts, 50, "b", "y")
	r.want(got(r, pairsOut), "a=x-@1")
	r.want(got(r, windowed), "a[0,10)=1@1")
	send(r, lefts, 100, "c", "z")
	r.want(got(r, pairsOut), "b=y-@50")
}

// Goal: a decision tells its kind, its name and its wait. Method: the shortest and a long one.
func TestRetryDecision(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		-1: time.Millisecond, 0: time.Millisecond, time.Microsecond: time.Millisecond, time.Hour: time.Hour,
	} {
		d := topology.RetryAfter(wait)
		if d.Kind() != plan.Retry || d.String() != "retry" || d.Wait() != want {
			t.Errorf("after %s: %s, %s", wait, d, d.Wait())
		}
	}
	for _, d := range []topology.Decision{topology.Fail, topology.Skip, topology.DeadLetter} {
		if d.Kind() != d {
			t.Errorf("%s is of kind %s", d, d.Kind())
		}
	}
}
