package topology_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/topologytest"
)

var (
	numbers = topology.NewTopic("numbers", serde.String, serde.Int64)
	errOdd  = errors.New("odd number")
)

// unencodable is a serde that decodes but refuses to encode 4.
type unencodable struct{ serde.Serde[int64] }

func (s unencodable) Append(dst []byte, info serde.Info, v int64) ([]byte, error) {
	if v == 4 {
		return dst, errors.New("four")
	}
	return s.Serde.Append(dst, info, v)
}

// stages is a topology that can fail at decode, process and encode.
func stages(b *topology.Builder) {
	s := topology.TryFilter(topology.From(b, numbers),
		func(_ context.Context, r topology.Record[string, int64]) (bool, error) {
			if r.Value%2 == 1 {
				return false, errOdd
			}
			return true, nil
		})
	s.To(topology.NewTopic("evens", serde.String, serde.Serde[int64](unencodable{serde.Int64})))
}

var evens = topology.NewTopic("evens", serde.String, serde.Int64)

// sendAll sends records that fail at each stage, and a good one before and behind them.
func sendAll(d *topologytest.Driver) {
	topologytest.Send(d, numbers, "k", 2)
	topologytest.SendRaw(d, "numbers", record.Record{Key: []byte("k"), Value: []byte("three"),
		Headers: []record.Header{{Key: "own", Value: []byte("h")}}})
	topologytest.Send(d, numbers, "k", 3)
	topologytest.Send(d, numbers, "k", 4)
	topologytest.Send(d, numbers, "k", 6)
}

// Goal: Skip goes on behind a record that failed at any stage. Method: one failure per stage, one policy for
// all.
func TestSkip(t *testing.T) {
	b := topology.NewBuilder("app", topology.OnError(topology.Skip.Always))
	stages(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo)
	sendAll(d)
	topologytest.Expect(d, evens, topologytest.P("k", int64(2)), topologytest.P("k", int64(6)))
	if dead := d.DeadLetters(); len(dead) != 0 {
		t.Errorf("dead letters %v", dead)
	}
	d.Advance(0)
	d.Stop()
	if c := d.Committed("numbers", 0); c != 5 {
		t.Errorf("committed %d, expected 5", c)
	}
}

// Goal: a dead letter is the raw record with its headers, and says what, where and which. Method: one failure
// per stage.
func TestDeadLetters(t *testing.T) {
	b := topology.NewBuilder("app",
		topology.OnError(topology.DeadLetter.Always), topology.DeadLetterTopic("dead"))
	stages(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo)
	sendAll(d)
	topologytest.Expect(d, evens, topologytest.P("k", int64(2)), topologytest.P("k", int64(6)))
	dead := d.DeadLetters()
	want := []string{"decode source-0 1", "process tryFilter-1 2", "encode sink-2 3"}
	if len(dead) != len(want) {
		t.Fatalf("%d dead letters", len(dead))
	}
	for i, l := range dead {
		a := l.About
		got := fmt.Sprint(a[plan.HeaderStage], " ", a[plan.HeaderNode], " ", a[plan.HeaderOffset])
		if got != want[i] {
			t.Errorf("dead letter %d is about %q, expected %q", i, got, want[i])
		}
		place := regexp.MustCompile(`^policy_test\.go:\d+$`)
		if string(l.Key) != "k" || a[plan.HeaderTopic] != "numbers" || a[plan.HeaderPartition] != "0" ||
			a[plan.HeaderTask] != "app/0_0" || !place.MatchString(a[plan.HeaderPlace]) {
			t.Errorf("dead letter %d: %v", i, a)
		}
	}
	if string(dead[0].Value) != "three" || dead[0].Headers[0].Key != "own" ||
		dead[1].About[plan.HeaderError] != "odd number" {
		t.Errorf("dead letters %+v", dead)
	}
}

// Goal: Fail stops the task in front of the record, names it, and the next start meets it again. Method: the
// decode error, twice; then the record is let go by nobody, so nothing behind it is there.
func TestFail(t *testing.T) {
	d := drive(t, stages)
	sendAll(d)
	for range 2 {
		err := d.Failed()
		var failed *topology.RecordError
		if !errors.As(err, &failed) || failed.Stage != topology.StageDecode || failed.Offset != 1 {
			t.Fatalf("error %v", err)
		}
		if c := d.Committed("numbers", 0); c != 1 {
			t.Errorf("committed %d, expected 1", c)
		}
		d.Restart()
	}
	if d.Failed() == nil {
		t.Error("third start does not fail")
	}
	topologytest.Expect(d, evens, topologytest.P("k", int64(2)))
}

// Goal: a node's policy comes before the topology's, and sees the whole error. Method: Skip at one node, Fail
// elsewhere.
func TestNodePolicy(t *testing.T) {
	var seen *topology.RecordError
	b := topology.NewBuilder("app", topology.OnError(topology.Fail.Always))
	note := func(_ context.Context, e *topology.RecordError) topology.Decision {
		c, r := *e, *e.Record
		seen, c.Record = &c, &r
		return topology.Skip
	}
	topology.From(b, numbers, topology.OnError(note)).To(evens)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(2))
	topologytest.SendRaw(d, "numbers", record.Record{Key: []byte("k"), Value: []byte("three")})
	if seen == nil || seen.Node.Name != "source-0" || string(seen.Record.Key) != "k" || seen.Partition !=
		record.PartitionFor([]byte("k"), 2) {
		t.Fatalf("policy saw %+v", seen)
	}
}

// Goal: a record that is too large for its topic meets the sink's policy and the others of its batch arrive
// in order. Method: one value grows beyond the limit; under DeadLetter the dead-letter topic refuses it too,
// which is an end.
func TestProduceRefused(t *testing.T) {
	grow := func(opts ...topology.Option) func(*topology.Builder) {
		return func(b *topology.Builder) {
			topology.MapValues(topology.From(b, Lines), func(v string) string {
				if v == "grow" {
					return strings.Repeat("x", 300)
				}
				return v
			}).To(Upper, opts...)
		}
	}
	batch := []texts{{Key: "k", Value: "a"}, {Key: "k", Value: "grow"}, {Key: "k", Value: "b"}}
	d := drive(t, grow(topology.OnError(topology.Skip.Always)), topologytest.MaxBatchBytes(250))
	topologytest.SendBatch(d, Lines, batch...)
	topologytest.Expect(d, Upper, p("k", "a", "k", "b")...)
	d.Stop()
	if c := d.Committed(Lines.Name, 0); c != 3 {
		t.Errorf("committed %d, expected 3", c)
	}
	d = drive(t, grow(topology.OnError(topology.DeadLetter.Always)), topologytest.MaxBatchBytes(250))
	topologytest.SendBatch(d, Lines, batch...)
	var failed *topology.RecordError
	if err := d.Failed(); !errors.As(err, &failed) || failed.Stage != topology.StageProduce {
		t.Errorf("error %v", err)
	}
	if c := d.Committed(Lines.Name, 0); c > 1 {
		t.Errorf("committed %d, beyond the record that is nowhere", c)
	}
}
