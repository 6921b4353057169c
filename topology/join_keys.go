package topology

import (
	"reflect"

	"github.com/millstream-io/millstream/state/serde"
)

// learnKey gives a stream whose key has no serde that of who it is joined with.
func learnKey[K, V any](s Stream[K, V], key serde.Serde[K]) {
	if _, builtin := serde.For[K](); s.key == nil && !builtin {
		s.key = key
	}
}

// sameKeys refuses a join whose sides write their keys in different ways: equal keys would be in different
// partitions. A nil serde is the built-in one.
func sameKeys[K any](b *Builder, n, l *node, left serde.Serde[K], r *node, right serde.Serde[K]) {
	if left == nil {
		left, _ = serde.For[K]()
	}
	if right == nil {
		right, _ = serde.For[K]()
	}
	if left == nil || right == nil || reflect.TypeOf(left) == reflect.TypeOf(right) &&
		(!reflect.ValueOf(left).Comparable() || !reflect.ValueOf(right).Comparable() || left == right) {
		return
	}
	b.faults = append(b.faults, refused(n.at,
		"%s joins keys of %s, written by %T, with keys of %s, written by %T",
		n.Name, l.Node, left, r.Node, right).
		WithHint("give one side the other's serde with WithSerdes, and send it through Repartition"))
}
