package topology_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// writeOnly writes what it cannot read.
type writeOnly struct{ serde.Serde[int64] }

func (writeOnly) Decode([]byte, serde.Info) (int64, error) { return 0, errors.New("decoded") }

// Goal: a count behind a repartition topic decodes no values, but passes over those that are null; whoever looks at
// values gets them decoded, also beside a count. Method: a serde that cannot read, behind GroupBy: with Count alone,
// and, as a control, with a Reduce that shares the topic.
func TestCountDecodesNoValues(t *testing.T) {
	build := func(reduces bool) func(b *topology.Builder) {
		return func(b *topology.Builder) {
			s := topology.From(b, payments).WithSerdes(nil, writeOnly{serde.Int64})
			g := topology.GroupBy(s, serde.String, total)
			g.Count(sumStore).ToStream().To(sums)
			if reduces {
				g.Reduce(plus, topology.KV("reduced", serde.String, serde.Int64))
			}
		}
	}
	r := newRig(t, build(false), 4)
	send(r, payments, 1, "alice", 1)
	tombstone(r, payments, 2, "alice")
	send(r, payments, 3, "charlie", 5)
	r.want(got(r, sums), "total=1@1 total=2@3")

	r = newRig(t, build(true), 4)
	value, _ := serde.Int64.Append(nil, serde.Info{}, 1)
	r.push(payments.Name, record.Record{TimestampMs: 1, Key: []byte("alice"), Value: value})
	if err := r.run(); err == nil || !strings.Contains(err.Error(), "decoded") {
		t.Fatalf("a Reduce beside the Count got no value: %v", err)
	}
}
