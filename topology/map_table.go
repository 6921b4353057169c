package topology

import (
	"context"

	"github.com/millstream-io/millstream/topology/plan"
)

// MapTableValues turns every value of a table into another one. f is called again where a row is looked up,
// so it has to give the same for the same value.
func MapTableValues[K, V, W any](t Table[K, V], f func(V) W, opts ...Option) Table[K, W] {
	call := func(_ *instance, _ K, v V) (W, error) { return f(v), nil }
	return mapTable(t, tableMap[K, V, W]{kind: "mapTableValues", f: f, call: call}, opts)
}

// TryMapTableValues is MapTableValues with the task's context, the key and an error, which goes to the node's policy.
// Where that lets the record go, the row is not in the result: what was there before is deleted. f is called again for
// the row before a change and where a row is looked up, without the policy: an error there says that the row was not,
// or is not, in the result. So it has to give the same for the same row, errors too.
func TryMapTableValues[K, V, W any](
	t Table[K, V], f func(ctx context.Context, k K, v V) (W, error), opts ...Option,
) Table[K, W] {
	call := func(in *instance, k K, v V) (W, error) { return f(in.ctx, k, v) }
	return mapTable(t, tableMap[K, V, W]{kind: "tryMapTableValues", f: f, call: call}, opts)
}

// tableMap is what the forms of a map of a table differ in.
type tableMap[K, V, W any] struct {
	kind string
	f    any // the user's function
	call func(in *instance, k K, v V) (W, error)
}

// row makes the row of the result of one that is there; isNew says that it has just changed.
func (how *tableMap[K, V, W]) row(in *instance, n *node, k K, v V, isNew bool) (w W, ok bool, err error) {
	if w, err = how.call(in, k, v); err != nil {
		var none W
		return none, false, in.noRow(n.Node, err, isNew)
	}
	return w, true, nil
}

// noRow deals with an error of user code that was to make a row of a table: nil says that there is no such row. Only
// of a new one the policy of n is asked, once for each change of the table.
func (in *instance) noRow(n *plan.Node, err error, isNew bool) error {
	if isNew || in.ctx.Err() != nil { // a task that is told to give up learns nothing about rows any more
		return in.rt.Refuse(StageProcess, n, err)
	}
	return nil
}

func mapTable[K, V, W any](t Table[K, V], how tableMap[K, V, W], opts []Option) Table[K, W] {
	n := t.operator(how.kind, opts, 0)
	t.b.needs(n, how.f)
	out := newTable[K, W](t.b, n, t.key, nil, t.name)
	out.ask = t.wantOld
	out.look = func(in *instance) lookup[K, W] {
		look := t.look(in)
		return func(k K) (w W, ms int64, ok bool, err error) {
			v, ms, ok, err := look(k)
			if ok {
				w, ok, err = how.row(in, n, k, v, false)
			}
			return w, ms, ok, err
		}
	}
	t.attach(n, func(in *instance) tableFlow[K, V] {
		next := out.flow(in)
		var mapped change[K, W]
		return func(c *change[K, V]) (err error) {
			mapped = change[K, W]{Key: c.Key, Meta: c.Meta}
			if c.HasNew {
				if mapped.New, mapped.HasNew, err = how.row(in, n, c.Key, c.New, true); err != nil {
					return err
				}
			}
			if out.old && c.HasOld {
				if mapped.Old, mapped.HasOld, err = how.row(in, n, c.Key, c.Old, false); err != nil {
					return err
				}
			}
			return next(&mapped)
		}
	})
	return Table[K, W]{out}
}
