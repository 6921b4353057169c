package topology

import (
	"context"
	"iter"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/query"
	"github.com/millstream-io/millstream/topology/window"
)

// Querier reads the stores of applications that run: cluster.Member does, and client.Client over any transport. What
// it reads is committed: rows that a task has changed since its last commit do not show. It never holds up a task.
//
// Errors: fault.UnknownApp, fault.UnknownStore, fault.InvalidRequest where the store is of another kind or encoding;
// fault.TaskNotRunning, which is retryable, while the task that has the rows starts or is restored, and says how far
// it is; fault.CorruptRecord, fault.Unreachable, and the end of ctx.
type Querier interface {
	// QueryRow reads one row.
	QueryRow(ctx context.Context, g query.Get) (query.Got, error)

	// QueryPage reads one page of rows.
	QueryPage(ctx context.Context, s query.Scan) (query.Page, error)
}

// Row is a row of a store as a query reads it.
type Row[K, V any] struct {
	Key       K
	Value     V
	Time      time.Time        // event time of the value
	Partition record.Partition // of the task that has the row
}

// QueryOption changes what is asked for.
type QueryOption interface{ applyQuery(*querySpec) }

type querySpec struct {
	partition record.Partition
	reverse   bool
	pageBytes int
}

type queryOption func(*querySpec)

func (f queryOption) applyQuery(q *querySpec) { f(q) }

// OnPartition asks the task of one partition alone. By default a key is looked for in the task that the key's hash
// belongs to, as producers share records out. A processor may keep rows under other keys than those of its records,
// and a producer may choose partitions itself: only the asker knows then which task has a row.
func OnPartition(p record.Partition) QueryOption {
	return queryOption(func(q *querySpec) { q.partition = p })
}

// Backwards returns the rows of each task from the last to the first.
func Backwards() QueryOption { return queryOption(func(q *querySpec) { q.reverse = true }) }

// PageBytes is how many bytes of rows are read at a time, and so about what a scan takes of memory: 256 KiB by
// default, at most 4 MiB. One row is read whatever its size.
func PageBytes(n int) QueryOption { return queryOption(func(q *querySpec) { q.pageBytes = n }) }

func querySpecOf(opts []QueryOption) querySpec {
	q := querySpec{partition: query.AnyPartition}
	for _, o := range opts {
		o.applyQuery(&q)
	}
	return q
}

// Get returns the value of a key in a store of an application; see Querier for what it sees and for errors.
func Get[K, V any](
	ctx context.Context, q Querier, app string, s Store[K, V], k K, opts ...QueryOption,
) (v V, ok bool, err error) {
	r, ok, err := GetRow(ctx, q, app, s, k, opts...)
	return r.Value, ok, err
}

// GetRow is Get with the event time of the value.
func GetRow[K, V any](
	ctx context.Context, q Querier, app string, s Store[K, V], k K, opts ...QueryOption,
) (r Row[K, V], ok bool, err error) {
	key, err := s.queryKey(app, k)
	if err != nil {
		return r, false, err
	}
	g := query.Get{Target: s.target(app, s.kind()), Row: key, Owner: key, Partition: querySpecOf(opts).partition}
	got, err := q.QueryRow(ctx, g)
	if err != nil || !got.Found {
		return r, false, err
	}
	r = Row[K, V]{Key: k, Partition: got.Partition}
	r.Value, r.Time, err = s.DecodeValue(app, got.Value)
	return r, err == nil, err
}

// Range returns the rows with lo ≤ key < hi in the order of their keys' bytes: that of the keys themselves for
// strings, bytes and numbers that are not negative. Keys are spread over the tasks, and each task's rows come
// together; see Scan.
func Range[K, V any](
	ctx context.Context, q Querier, app string, s Store[K, V], lo, hi K, opts ...QueryOption,
) iter.Seq2[Row[K, V], error] {
	low, err := s.queryKey(app, lo)
	if err != nil {
		return refuseRows[Row[K, V]](err)
	}
	high, err := s.queryKey(app, hi)
	if err != nil {
		return refuseRows[Row[K, V]](err)
	}
	return s.rows(ctx, q, app, low, high, opts)
}

// Scan returns all rows of a store, task by task in the order of their partitions, and each task's in the order of
// the keys' bytes. It reads a page at a time, as the caller goes on, so it takes little memory and keeps nothing open.
// Each page shows one committed state of its task; what is committed between two pages shows in the later one. The
// first error is the last thing that it yields.
func Scan[K, V any](
	ctx context.Context, q Querier, app string, s Store[K, V], opts ...QueryOption,
) iter.Seq2[Row[K, V], error] {
	return s.rows(ctx, q, app, nil, nil, opts)
}

func (s Store[K, V]) rows(
	ctx context.Context, q Querier, app string, lo, hi []byte, opts []QueryOption,
) iter.Seq2[Row[K, V], error] {
	scan := scanOf(s.target(app, s.kind()), lo, hi, opts)
	return scanRows(ctx, q, scan, func(raw query.Row, _ time.Duration) (r Row[K, V], ok bool, err error) {
		r.Partition = raw.Partition
		if r.Key, err = s.DecodeKey(app, raw.Key); err == nil {
			r.Value, r.Time, err = s.DecodeValue(app, raw.Value)
		}
		return r, true, err
	})
}

// WindowGet returns the result of a key in the window that begins at start.
func WindowGet[K, V any](
	ctx context.Context, q Querier, app string, s WindowStore[K, V], k K, start time.Time, opts ...QueryOption,
) (r Row[Windowed[K], V], ok bool, err error) {
	owner, err := s.queryKey(app, k)
	if err != nil {
		return r, false, err
	}
	row, err := windowRow(start, owner)
	if err != nil {
		return r, false, err
	}
	g := query.Get{Target: s.target(app, s.kind()), Row: row, Owner: owner, Partition: querySpecOf(opts).partition}
	got, err := q.QueryRow(ctx, g)
	if err != nil || !got.Found {
		return r, false, err
	}
	from := time.UnixMilli(start.UnixMilli())
	r = Row[Windowed[K], V]{
		Key: Windowed[K]{Key: k, Start: from, End: from.Add(got.Window)}, Partition: got.Partition,
	}
	r.Value, r.Time, err = s.DecodeValue(app, got.Value)
	return r, err == nil, err
}

// WindowRange returns the results of one key in the windows that begin at from or later, and before to. A zero to has
// no upper bound.
func WindowRange[K, V any](
	ctx context.Context, q Querier, app string, s WindowStore[K, V], k K, from, to time.Time, opts ...QueryOption,
) iter.Seq2[Row[Windowed[K], V], error] {
	owner, err := s.queryKey(app, k)
	if err != nil {
		return refuseRows[Row[Windowed[K], V]](err)
	}
	return s.windows(ctx, q, app, owner, from, to, opts)
}

// WindowScan returns the results of all keys in the windows that begin at from or later, and before to, task by task
// and by window; see Scan. A zero to has no upper bound.
func WindowScan[K, V any](
	ctx context.Context, q Querier, app string, s WindowStore[K, V], from, to time.Time, opts ...QueryOption,
) iter.Seq2[Row[Windowed[K], V], error] {
	return s.windows(ctx, q, app, nil, from, to, opts)
}

func (s WindowStore[K, V]) windows(
	ctx context.Context, q Querier, app string, of []byte, from, to time.Time, opts []QueryOption,
) iter.Seq2[Row[Windowed[K], V], error] {
	lo := window.AppendStart(nil, max(from.UnixMilli(), 0))
	var hi []byte
	if !to.IsZero() {
		hi = window.AppendStart(nil, max(to.UnixMilli(), 0))
	}
	scan := scanOf(s.target(app, s.kind()), lo, hi, opts)
	scan.Of = of
	return scanRows(ctx, q, scan, func(raw query.Row, size time.Duration) (r Row[Windowed[K], V], ok bool, err error) {
		k, start, ok, err := s.DecodeKey(app, raw.Key)
		if err != nil || !ok {
			return r, ok, err
		}
		r.Key, r.Partition = Windowed[K]{Key: k, Start: start, End: start.Add(size)}, raw.Partition
		r.Value, r.Time, err = s.DecodeValue(app, raw.Value)
		return r, true, err
	})
}

func windowRow(start time.Time, key []byte) ([]byte, error) {
	ms := start.UnixMilli()
	if ms < 0 {
		return nil, fault.New(fault.InvalidRequest, "no window begins before 1970").WithHint("give the start of a window")
	}
	return window.AppendKey(nil, ms, key), nil
}

// target is the store as queries name it.
func (d decl[K, V]) target(app string, kind plan.StoreKind) query.Target {
	key, value := d.formats()
	return query.Target{App: app, Store: d.name, Kind: kind, KeyFormat: key, ValueFormat: value}
}

// queryKey encodes a key; one that is written as null has no row.
func (d decl[K, V]) queryKey(app string, k K) ([]byte, error) {
	if d.key != nil {
		if null := serde.IsNull(d.key); null != nil && null(k) {
			return nil, fault.New(fault.InvalidRequest, "a null key has no row in store %q", d.name).
				WithHint("ask for a key that is not null")
		}
	}
	b, err := d.appendKey([]byte{}, app, k)
	if err != nil && fault.CodeOf(err) == fault.Unknown {
		err = fault.New(fault.InvalidRequest, "encode a key of store %q: %w", d.name, err)
	}
	return b, err
}

func scanOf(t query.Target, lo, hi []byte, opts []QueryOption) query.Scan {
	q := querySpecOf(opts)
	return query.Scan{Target: t, Lo: lo, Hi: hi, Partition: q.partition, Reverse: q.reverse, MaxBytes: q.pageBytes}
}

// scanRows reads page after page, as the caller goes on.
func scanRows[R any](
	ctx context.Context, q Querier, s query.Scan, decode func(query.Row, time.Duration) (R, bool, error),
) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var none R
		scan := s
		for {
			page, err := q.QueryPage(ctx, scan)
			if err != nil {
				yield(none, err)
				return
			}
			for _, raw := range page.Rows {
				r, ok, err := decode(raw, page.Window)
				if err != nil {
					yield(none, err)
					return
				}
				if ok && !yield(r, nil) {
					return
				}
			}
			if !page.More {
				return
			}
			scan.From = page.Next
		}
	}
}

func refuseRows[R any](err error) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var none R
		yield(none, err)
	}
}
