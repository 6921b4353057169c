package topology

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/window"
)

// WindowedTable is a table of results by key and window. Give its Table to functions that take one.
type WindowedTable[K, V, A any] struct {
	Table[Windowed[K], A]
	late *stream[K, V]
}

// Late returns the records that came when one of their windows was over: stream time had reached its end and
// the grace. Each comes once, as it was; hopping windows that were not over yet have taken it. Late records
// are counted whether somebody looks at them here or not.
func (t WindowedTable[K, V, A]) Late() Stream[K, V] { return Stream[K, V]{t.late} }

// CountWindowed counts the records of each key and window that have a value. Option: EmitFinal.
func CountWindowed[K, V any](
	g Grouped[K, V], w Windows, store WindowStore[K, int64], opts ...Option,
) WindowedTable[K, V, int64] {
	return aggregateWindowed(g, "countWindowed", w, store, one[K, V], opts)
}

// ReduceWindowed combines the values of each key and window: f gets the result so far and the next value. The
// first value is the first result. Option: EmitFinal.
func ReduceWindowed[K, V any](
	g Grouped[K, V], w Windows, f func(sum, next V) V, store WindowStore[K, V], opts ...Option,
) WindowedTable[K, V, V] {
	t := aggregateWindowed(g, "reduceWindowed", w, store, reducing[K](f), opts)
	t.b.needs(t.from, f)
	return t
}

// AggregateWindowed combines the values of each key and window with a result of another type; see Aggregate.
// Option: EmitFinal.
func AggregateWindowed[K, V, A any](
	g Grouped[K, V], w Windows, begin func() A, add func(K, V, A) A, store WindowStore[K, A], opts ...Option,
) WindowedTable[K, V, A] {
	t := aggregateWindowed(g, "aggregateWindowed", w, store, aggregating(begin, add), opts)
	t.b.needs(t.from, begin)
	t.b.needs(t.from, add)
	return t
}

// TryReduceWindowed is ReduceWindowed with the whole record and an error, which goes to the node's policy.
func TryReduceWindowed[K, V any](
	g Grouped[K, V], w Windows, f func(ctx context.Context, sum V, r Record[K, V]) (V, error),
	store WindowStore[K, V], opts ...Option,
) WindowedTable[K, V, V] {
	t := aggregateWindowed(g, "tryReduceWindowed", w, store, tryReducing(f), opts)
	t.b.needs(t.from, f)
	return t
}

// TryAggregateWindowed is AggregateWindowed with the whole record and an error, which goes to the node's
// policy.
func TryAggregateWindowed[K, V, A any](
	g Grouped[K, V], w Windows, begin func() A, add func(context.Context, Record[K, V], A) (A, error),
	store WindowStore[K, A], opts ...Option,
) WindowedTable[K, V, A] {
	t := aggregateWindowed(g, "tryAggregateWindowed", w, store, tryAggregating(begin, add), opts)
	t.b.needs(t.from, begin)
	t.b.needs(t.from, add)
	return t
}

func aggregateWindowed[K, V, A any](
	g Grouped[K, V], kind string, w Windows, store WindowStore[K, A], f update[K, V, A], opts []Option,
) WindowedTable[K, V, A] {
	s := g.ready(store.name)
	o := gather(opts)
	n := s.b.add(kind, o, optEmitFinal)
	n.meets = true
	if err := w.Check(); err != nil {
		s.b.fault(n.at, "%s: %w", n.Name, err)
	}
	d := s.b.ownWindowed(n, store, w)
	var key serde.Serde[Windowed[K]]
	if store.key != nil {
		key = WindowedSerde(store.key, w.Size())
	}
	t := newTable[Windowed[K], A](s.b, n, key, store.value, store.name)
	t.look = func(in *instance) lookup[Windowed[K], A] {
		return lookInWindows(in, openRows(in, d.Store, store.decl), w, o.emitFinal)
	}
	late := s.emittedBy(n)
	s.attach(n, func(in *instance) flow[K, V] {
		a := &windowAggregator[K, V, A]{
			results: openResults(in, n, openRows(in, d.Store, store.decl), t, t.old && !o.emitFinal),
			windows: w, update: f, final: o.emitFinal, late: late.flow(in),
		}
		a.expiry = newExpiry(a.rows, d.Store, w)
		a.visitOver = a.emitRow
		in.inits = append(in.inits, a.init)
		in.timers, in.resets = append(in.timers, a.advance), append(in.resets, a.init)
		return a.take
	})
	return WindowedTable[K, V, A]{Table: Table[Windowed[K], A]{t}, late: late.stream}
}

// lookInWindows finds results in a store. Where only final ones are given out, the others are not there yet.
func lookInWindows[K, A any](
	in *instance, rows *rowsOf[K, A], w Windows, final bool,
) lookup[Windowed[K], A] {
	var row []byte
	return func(k Windowed[K]) (v A, ms int64, ok bool, err error) {
		start := k.Start.UnixMilli()
		if start < 0 || final && !w.Over(start, in.streamMs()) {
			return v, 0, false, nil
		}
		key, err := rows.keyOf(k.Key)
		if err != nil || key == nil {
			return v, 0, false, err
		}
		row = window.AppendKey(row[:0], start, key)
		return rows.get(row)
	}
}

// windowAggregator keeps one result a key and window.
type windowAggregator[K, V, A any] struct {
	results[K, Windowed[K], A]
	windows Windows
	update  update[K, V, A]
	final   bool // results are given out when their window is over
	late    flow[K, V]

	row []byte // a row key

	expiry    *expiry
	emitted   int64 // start of the first window that is not given out yet
	visitOver func(key, row []byte) bool
}

func (a *windowAggregator[K, V, A]) take(r *Record[K, V]) error {
	ms := r.Time.UnixMilli()
	switch {
	case r.NullKey:
		return a.in.skip(a.node, whyNullKey)
	case r.NullValue:
		return a.in.skip(a.node, whyNullValue)
	case ms < 0:
		return a.in.skip(a.node, whyOldTime)
	}
	key, err := a.rows.keyOf(r.Key)
	switch {
	case err != nil:
		return a.in.stopped(a.node, err)
	case key == nil:
		return a.in.skip(a.node, whyNullKey)
	}
	streamTime, late := a.in.streamMs(), false
	for start := a.windows.First(ms); start <= ms; start += a.windows.Advance().Milliseconds() {
		if a.windows.Over(start, streamTime) {
			late = true
			continue
		}
		if taken, err := a.into(start, key, r); err != nil || !taken {
			return err
		}
	}
	if late {
		a.in.rt.CountLate(a.node)
		return a.late(r)
	}
	return nil
}

// into brings a record into one window; taken is false where the record was refused and dealt with.
func (a *windowAggregator[K, V, A]) into(start int64, key []byte, r *Record[K, V]) (taken bool, err error) {
	a.row = window.AppendKey(a.row[:0], start, key)
	sum, err := a.begin(a.row, &r.Meta)
	if err != nil {
		return false, err
	}
	a.out.Key = windowedKey(r.Key, start, a.windows.Size())
	if sum, err = a.update(a.in, r, sum, a.has); err != nil {
		return false, a.in.rt.Refuse(StageProcess, a.node, err)
	}
	if kept, err := a.keep(a.row, sum); err != nil || !kept || a.final {
		return kept, err
	}
	return true, a.next(&a.out)
}

// init finds out from the rows how far final results have been given out.
func (a *windowAggregator[K, V, A]) init() error {
	a.emitted, a.expiry.next = 0, 0
	if !a.final {
		return nil
	}
	row, ok, err := a.rows.Get(window.Mark())
	if err != nil || !ok {
		return a.rows.wrap("read", err)
	}
	streamTime, _, err := splitTime(row)
	if err != nil {
		return a.rows.wrap("decode a row of", err)
	}
	a.in.observe(time.UnixMilli(streamTime))
	if last, ok := a.windows.LastOver(streamTime); ok {
		a.emitted = last + 1
	}
	return nil
}

// advance gives out what is over and removes what has expired, now that stream time has moved on.
func (a *windowAggregator[K, V, A]) advance(streamTime int64) error {
	if a.final {
		if err := a.emit(streamTime); err != nil {
			return err
		}
	}
	return a.expiry.advance(streamTime)
}

// emit gives out the results of windows that are over, by window and by the bytes of their keys, and notes
// how far it has come: no result is given out twice, whatever becomes of the stream time.
func (a *windowAggregator[K, V, A]) emit(streamTime int64) error {
	last, ok := a.windows.LastOver(streamTime)
	if !ok || last < a.emitted {
		return nil
	}
	if err := a.expiry.walk(a.emitted, last, a.visitOver); err != nil {
		return err
	}
	a.row = appendTime(a.row[:0], streamTime)
	if err := a.rows.Put(window.Mark(), a.row); err != nil {
		return a.rows.wrap("write", err)
	}
	a.emitted = last + 1
	return nil
}

func (a *windowAggregator[K, V, A]) emitRow(rowKey, row []byte) bool {
	a.expiry.failed = a.emitOne(rowKey, row)
	return a.expiry.failed == nil
}

func (a *windowAggregator[K, V, A]) emitOne(rowKey, row []byte) error {
	start, key, err := window.SplitKey(rowKey)
	if err != nil {
		return a.rows.wrap("walk", err)
	}
	k, err := a.rows.keySerde.Decode(key, a.rows.keyInfo)
	if err != nil {
		return a.rows.wrap("decode a key of", err)
	}
	sum, ms, err := a.rows.decode(row)
	if err != nil {
		return err
	}
	a.out = change[Windowed[K], A]{
		Key: windowedKey(k, start, a.windows.Size()), New: sum, HasNew: true,
		Meta: Meta{Time: time.UnixMilli(ms), Partition: a.in.rt.Partition(), Offset: -1},
	}
	return a.next(&a.out)
}
