package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/query"
)

func (s *shell) appQueryCommand() *urfave.Command {
	return &urfave.Command{
		Name: "query", Usage: "print rows of a store: of one key, of a range of keys, or all", ArgsUsage: "APP STORE [KEY]",
		Description: "Keys are written as the store has them: text for strings and JSON, a number for int64, int32 and\n" +
			"float64, true or false, and hexadecimal digits for everything else. Rows are committed ones.",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "from", Usage: "rows from `KEY` on"},
			&urfave.StringFlag{Name: "to", Usage: "rows before `KEY`"},
			&urfave.StringFlag{Name: "since", Usage: "windows that begin at `TIME` or later: 2026-01-31T12:00:00Z, a date, -1h"},
			&urfave.StringFlag{Name: "until", Usage: "windows that begin before `TIME`"},
			&urfave.IntFlag{Name: "partition", Value: -1, Usage: "only the task of partition `P`"},
			&urfave.BoolFlag{Name: "reverse", Usage: "each task's rows from the last to the first"},
			&urfave.Int64Flag{Name: "number", Aliases: []string{"n"}, Usage: "stop after `N` rows"},
			&urfave.StringFlag{Name: "format", Aliases: []string{"f"},
				Usage: "`FORMAT` of a row: %k key, %v value, %T event time in ms, %p partition, %w and %W start and end of the window in ms"},
			&urfave.StringFlag{Name: "output", Usage: "`FORM`: json prints one object a line"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.appQuery,
	}
}

// rawBytes is a serde of bytes as they are, whatever a store takes them for.
type rawBytes struct{}

// Append implements serde.Serde.
func (rawBytes) Append(dst []byte, _ serde.Info, v []byte) ([]byte, error) {
	return append(dst, v...), nil
}

// Decode implements serde.Serde.
func (rawBytes) Decode(b []byte, _ serde.Info) ([]byte, error) { return append([]byte{}, b...), nil }

// storeQuery is one run of app query.
type storeQuery struct {
	c     *urfave.Context
	q     topology.Querier
	app   string
	store plan.StoreJSON
	key   []byte // nil: not one key
	opts  []topology.QueryOption
	write func(dst []byte, r queriedRow) []byte
}

// queriedRow is a row as it is printed; start and end are zero where the store has no windows.
type queriedRow struct {
	key, value []byte
	time       time.Time
	partition  record.Partition
	start, end time.Time
}

func (s *shell) appQuery(c *urfave.Context) error {
	if n := c.NArg(); n < 2 || n > 3 {
		return usage("app query takes APP STORE [KEY], %d given", n).hint("millstream app query --help")
	}
	if form := c.String("output"); form != "" && form != "json" {
		return usage("unknown form %q for --output", form).hint("json")
	}
	if c.NArg() == 3 && (c.IsSet("from") || c.IsSet("to")) {
		return usage("a KEY and --from or --to exclude each other").hint("one of them")
	}
	cl, err := s.connect(c.Context, c)
	if err != nil {
		return err
	}
	defer cl.Close()
	q, err := storeQueryOf(c, cl)
	if err != nil {
		return err
	}
	rows, err := q.rows(c.Context)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(s.Stdout)
	n, err := q.print(out, rows)
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if n == 0 && q.key != nil {
		return fail(exitNotFound, fmt.Sprintf("store %q has no row of that key", q.store.Name)).
			hint("what is not committed yet does not show")
	}
	return nil
}

// print writes rows as they come, and says how many.
func (q *storeQuery) print(out io.Writer, rows iter.Seq2[queriedRow, error]) (n int64, err error) {
	var line []byte
	for r, err := range rows {
		if err != nil {
			return n, refused(fmt.Sprintf("store %q could not be read", q.store.Name), err)
		}
		line = q.write(line[:0], r)
		if _, err := out.Write(line); err != nil {
			return n, fmt.Errorf("print a row: %w", err)
		}
		if n++; n == q.c.Int64("number") {
			break
		}
	}
	return n, nil
}

// paced bounds each question, not all of them together: a store may have many pages.
type paced struct {
	topology.Querier
	timeout time.Duration
}

// QueryRow implements topology.Querier.
func (p paced) QueryRow(ctx context.Context, g query.Get) (query.Got, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.Querier.QueryRow(ctx, g)
}

// QueryPage implements topology.Querier.
func (p paced) QueryPage(ctx context.Context, s query.Scan) (query.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.Querier.QueryPage(ctx, s)
}

func storeQueryOf(c *urfave.Context, cl *client.Client) (*storeQuery, error) {
	q := &storeQuery{c: c, q: paced{cl, c.Duration("timeout")}, app: c.Args().Get(0)}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	text, err := cl.DrawApp(ctx, q.app, "json")
	var g plan.GraphJSON
	if err == nil {
		err = json.Unmarshal([]byte(text), &g)
	}
	if err != nil {
		return nil, refused(fmt.Sprintf("application %q could not be queried", q.app), err)
	}
	name := c.Args().Get(1)
	var names []string
	for _, sub := range g.Subs {
		for _, st := range sub.Stores {
			names = append(names, st.Name)
			if st.Name == name {
				q.store = st
			}
		}
	}
	if q.store.Name == "" {
		f := fail(exitNotFound, fmt.Sprintf("application %q has no store %q", q.app, name))
		return nil, f.because("it has: %s", orDash(joined(names))).hint("millstream app describe %s", q.app)
	}
	if c.NArg() == 3 {
		if q.key, err = parseKey(q.store.KeyFormat, c.Args().Get(2)); err != nil {
			return nil, err
		}
	}
	if p := c.Int("partition"); p >= 0 {
		q.opts = append(q.opts, topology.OnPartition(record.Partition(p)))
	}
	if c.Bool("reverse") {
		q.opts = append(q.opts, topology.Backwards())
	}
	return q, q.chooseForm()
}

// rows asks for what the command line wants.
func (q *storeQuery) rows(ctx context.Context) (iter.Seq2[queriedRow, error], error) {
	if q.windowed() {
		return q.windows(ctx)
	}
	for _, flag := range []string{"since", "until"} {
		if q.c.IsSet(flag) {
			return nil, usage("--%s is for stores of windows", flag).hint("--from and --to bound keys")
		}
	}
	st := topology.KV[[]byte, []byte](q.store.Name, rawBytes{}, rawBytes{})
	if q.key != nil {
		return func(yield func(queriedRow, error) bool) {
			r, ok, err := topology.GetRow(ctx, q.q, q.app, st, q.key, q.opts...)
			if ok || err != nil {
				yield(queriedRow{key: r.Key, value: r.Value, time: r.Time, partition: r.Partition}, err)
			}
		}, nil
	}
	bounds, err := q.keyBounds()
	if err != nil {
		return nil, err
	}
	return func(yield func(queriedRow, error) bool) {
		for r, err := range topology.Scan(ctx, between{q.q, bounds}, q.app, st, q.opts...) {
			if !yield(queriedRow{key: r.Key, value: r.Value, time: r.Time, partition: r.Partition}, err) {
				return
			}
		}
	}, nil
}

// between asks for rows between two keys, of which one or both may be nil.
type between struct {
	topology.Querier
	bounds [2][]byte
}

// QueryPage implements topology.Querier.
func (b between) QueryPage(ctx context.Context, s query.Scan) (query.Page, error) {
	s.Lo, s.Hi = b.bounds[0], b.bounds[1]
	return b.Querier.QueryPage(ctx, s)
}

// keyBounds reads --from and --to; nil: none.
func (q *storeQuery) keyBounds() (bounds [2][]byte, err error) {
	for i, flag := range []string{"from", "to"} {
		if q.c.IsSet(flag) {
			if bounds[i], err = parseKey(q.store.KeyFormat, q.c.String(flag)); err != nil {
				return bounds, err
			}
		}
	}
	return bounds, nil
}

func (q *storeQuery) windowed() bool { return q.store.Kind == plan.StoreWindow.String() }

func (q *storeQuery) windows(ctx context.Context) (iter.Seq2[queriedRow, error], error) {
	for _, flag := range []string{"from", "to"} {
		if q.c.IsSet(flag) {
			return nil, usage("--%s is for stores without windows", flag).hint("--since and --until bound windows")
		}
	}
	var bounds [2]time.Time
	for i, flag := range []string{"since", "until"} {
		if !q.c.IsSet(flag) {
			continue
		}
		at, ok := parseTime(q.c.String(flag), time.Now())
		if !ok {
			return nil, usage("--%s %q is no time", flag, q.c.String(flag)).hint("2026-01-31T12:00:00Z, 2026-01-31, or -1h")
		}
		bounds[i] = at
	}
	st := topology.WindowKV[[]byte, []byte](q.store.Name, rawBytes{}, rawBytes{})
	rows := topology.WindowScan(ctx, q.q, q.app, st, bounds[0], bounds[1], q.opts...)
	if q.key != nil {
		rows = topology.WindowRange(ctx, q.q, q.app, st, q.key, bounds[0], bounds[1], q.opts...)
	}
	return func(yield func(queriedRow, error) bool) {
		for r, err := range rows {
			row := queriedRow{
				key: r.Key.Key, value: r.Value, time: r.Time, partition: r.Partition, start: r.Key.Start, end: r.Key.End,
			}
			if !yield(row, err) {
				return
			}
		}
	}, nil
}
