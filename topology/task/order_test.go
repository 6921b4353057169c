package task_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// merging is two inputs → one output, beside a store: so that records are taken in the order of their times.
func merging(b *topology.Builder) {
	other := topology.NewTopic("others", serde.String, serde.Int64)
	all := topology.From(b, numbers).Merge(topology.From(b, other))
	all.To(results)
	all.ToTable(highest)
}

// written is the numbers in a topic, in order.
func (w *stateWorld) written(topic string) (all []int64) {
	for _, b := range w.log(topic).batches {
		for r, err := range b.Records(0) {
			if err != nil {
				w.t.Fatal(err)
			}
			v, err := serde.Int64.Decode(r.Value, serde.Info{})
			if err != nil {
				w.t.Fatal(err)
			}
			all = append(all, v)
		}
	}
	return all
}

// Goal: a task that keeps state takes records by time over its inputs, record by record, and of equal times those
// of the first input first, however they were batched. Method: interleaved times in batches of any size.
func TestInputsByTimeOfRecords(t *testing.T) {
	for _, bytes := range []int{1, 1 << 20} {
		w := newStateWorld(t, nil, merging)
		w.tune = func(c *task.Config) { c.MaxFetchBytes = bytes }
		for i := range int64(10) {
			w.put("numbers", "k", 10*i, 2*i)
			w.put("others", "k", 10*i, 2*i+1)
		}
		w.start()
		w.advance(time.Second)
		want := make([]int64, 20)
		for i := range want {
			want[i] = int64(i)
		}
		if got := w.written("results"); !slices.Equal(got, want) {
			t.Errorf("fetched by %d bytes: %v", bytes, got)
		}
	}
}

// Goal: an input that has nothing holds up the others for MaxTaskIdle, and not at all with 0 while it is known to
// be empty. Method: records in one input only; then one in the other that comes within the time.
func TestMaxTaskIdle(t *testing.T) {
	w := newStateWorld(t, nil, merging)
	w.put("numbers", "k", 10, 1)
	w.start()
	w.advance(0)
	if got := w.written("results"); !slices.Equal(got, []int64{1}) {
		t.Errorf("without idling: %v", got)
	}
	w = newStateWorld(t, nil, merging)
	w.tune = func(c *task.Config) { c.MaxTaskIdle = time.Minute }
	w.put("numbers", "k", 10, 1)
	w.start()
	if w.advance(59 * time.Second); len(w.written("results")) != 0 {
		t.Errorf("before its time: %v", w.written("results"))
	}
	if w.advance(time.Second); !slices.Equal(w.written("results"), []int64{1}) {
		t.Errorf("after its time: %v", w.written("results"))
	}
}

// Goal: a record that is to be tried again is, after the time, and what it did before it failed is undone each
// time; its input waits, and nothing is lost or doubled. Method: a node behind a store and a sink fails three
// times, at the second of three records.
func TestRetryAfter(t *testing.T) {
	left, tries := 3, []time.Time{}
	var w *stateWorld
	w = newStateWorld(t, nil, func(b *topology.Builder) {
		in := topology.From(b, numbers)
		in.GroupByKey().Count(counts)
		in.To(results)
		topology.TryMapValues(in, func(_ context.Context, r topology.Record[string, int64]) (int64, error) {
			if r.Value == 2 && left > 0 {
				left--
				tries = append(tries, w.now)
				return 0, errors.New("not now")
			}
			return r.Value, nil
		}, topology.OnError(topology.RetryAfter(time.Minute).Always)).To(
			topology.NewTopic("more", serde.String, serde.Int64))
	})
	w.put("numbers", "k", 10, 1, 2, 3)
	w.start()
	if w.advance(30 * time.Second); !slices.Equal(w.written("results"), []int64{1}) || w.offsets["numbers"] != 1 {
		t.Fatalf("while it waits: %v, committed %d", w.written("results"), w.offsets["numbers"])
	}
	w.advance(10 * time.Minute)
	for _, topic := range []string{"results", "more"} {
		if got := w.written(topic); !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("%s has %v", topic, got)
		}
	}
	if got := w.value(counts, "k"); got != 3 || w.failed != nil {
		t.Errorf("%d counted, failed: %v", got, w.failed)
	}
	if len(tries) != 3 || tries[1].Sub(tries[0]) != time.Minute || tries[2].Sub(tries[1]) != time.Minute {
		t.Errorf("tried at %v", tries)
	}
}

// Goal: a record that fails under the policy Fail has no effect, however much it wrote: what was processed before
// it is committed, and no more. Method: the second of two records writes over many batches, then fails.
func TestFailedRecordHasNoEffect(t *testing.T) {
	w := newStateWorld(t, nil, func(b *topology.Builder) {
		in := topology.From(b, numbers)
		in.GroupByKey().Count(counts)
		topology.FlatMapValues(in, func(v int64) iter.Seq[int64] {
			return func(yield func(int64) bool) {
				for i := range int64(100) {
					if !yield(100*v + i) {
						return
					}
				}
			}
		}).To(results)
		topology.TryMapValues(in, func(_ context.Context, r topology.Record[string, int64]) (int64, error) {
			if r.Value == 2 {
				return 0, errors.New("never")
			}
			return r.Value, nil
		}).To(topology.NewTopic("more", serde.String, serde.Int64))
	})
	w.tune = func(c *task.Config) { c.BatchBytes = 200 }
	w.put("numbers", "k", 10, 1, 2)
	w.start()
	w.advance(time.Minute)
	if w.failed == nil || w.offsets["numbers"] != 1 {
		t.Fatalf("failed: %v, committed %d", w.failed, w.offsets["numbers"])
	}
	if got := w.written("results"); len(got) != 100 || got[0] != 100 || got[99] != 199 {
		t.Errorf("%d results are written: %v", len(got), got)
	}
	if rows := w.replay("counts"); len(rows) != 1 {
		t.Errorf("the changelog says %q", rows)
	}
	for _, row := range w.replay("counts") {
		if v, _, err := counts.DecodeValue("app", []byte(row)); err != nil || v != 1 {
			t.Errorf("counted %d, %v", v, err)
		}
	}
}

// Goal: rows in memory stay within their bound however far one commit lies behind the next: they are written out
// early, and intake waits where the one before is not applied yet. Method: a long interval, a small bound, many
// keys, and changelog batches that are refused an answer for a while.
func TestDirtyRowsAreBounded(t *testing.T) {
	w := newStateWorld(t, nil, keeping)
	const bound = 10_000
	w.tune = func(c *task.Config) { c.CommitInterval, c.MaxDirtyBytes = time.Hour, bound }
	const keys = 1000
	for i := range int64(keys) {
		w.put("numbers", fmt.Sprint("key ", i), 10, i)
	}
	w.start()
	w.advance(time.Second)
	if w.offsets["numbers"] < keys/2 {
		t.Errorf("%d of %d records are committed before the interval is over", w.offsets["numbers"], keys)
	}
	if w.advance(time.Hour); w.offsets["numbers"] != record.Offset(keys) || w.fault != nil {
		t.Errorf("committed %d, %v", w.offsets["numbers"], w.fault)
	}
	w.checkReplay()
	if w.fault != nil {
		t.Error(w.fault)
	}
}
