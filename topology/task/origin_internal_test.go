package task

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// Goal: origins give back what was added, whatever repeats and is cut off. Method: random origins beside a plain
// slice of them.
func TestOriginsAreAList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	nodes := []*plan.Node{{}, {}}
	inputs := []*inputPartition{nil, {}}
	for range 300 {
		var o origins
		var want []origin
		for range rng.IntN(60) {
			if rng.IntN(10) == 0 {
				n := rng.IntN(len(want) + 1)
				o.keep(n)
				want = want[:n]
			}
			if rng.IntN(40) == 0 {
				o, want = o.emptied(), nil
			}
			from := origin{
				node: nodes[rng.IntN(2)], input: inputs[rng.IntN(2)], dead: rng.IntN(5) == 0,
				offset: record.Offset(rng.Int64N(9)),
			}
			o.add(&from)
			want = append(want, from)
		}
		var got []origin
		for i := range o.len() {
			got = append(got, o.at(i))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
