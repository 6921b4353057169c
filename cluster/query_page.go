package cluster

import (
	"bytes"
	"context"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/query"
	"github.com/millstream-io/millstream/topology/task"
	"github.com/millstream-io/millstream/topology/window"
)

// Limits of the work for one page, besides its bytes.
const (
	contextRows    = 256    // rows between two looks at the context
	windowsPerPage = 10_000 // looked into for one key
)

// QueryPage reads one page of committed rows of a store of an application that runs here; see topology.Scan, which
// has types. It may read the disk, on the caller's goroutine, and never waits for a task. Errors are those of
// topology.Querier.
func (m *Member) QueryPage(ctx context.Context, s query.Scan) (query.Page, error) {
	t, err := m.queried(ctx, s.Target)
	if err != nil {
		return query.Page{}, err
	}
	page, err := t.page(ctx, s)
	m.metrics.QueriedPage(s.App, len(page.Rows), err)
	return page, err
}

// page answers a scan.
func (t *queried) page(ctx context.Context, s query.Scan) (query.Page, error) {
	if s.Of != nil && t.store.Window == 0 {
		return query.Page{}, fault.New(fault.InvalidRequest, "store %q has no windows to look for a key in", s.Store).
			WithHint("ask for the row of the key")
	}
	if s.MaxBytes <= 0 {
		s.MaxBytes = query.DefaultPageBytes
	}
	p := &pager{ctx: ctx, t: t, s: s, left: min(s.MaxBytes, query.MaxPageBytes)}
	p.page.Window = t.store.Window
	if t.store.Window > 0 && s.Hi == nil {
		p.s.Hi = window.Mark() // the one row that is none of a window
	}
	first, last := record.Partition(0), record.Partition(t.tasks-1)
	if s.Of != nil && s.Partition == query.AnyPartition {
		s.Partition = t.owner(s.Of)
	}
	if s.Partition != query.AnyPartition {
		first, last = s.Partition, s.Partition
	}
	if at := s.From.Partition; at > first {
		first = at
	}
	for at := first; at <= last; at++ {
		after := s.From.After
		if at != s.From.Partition {
			after = nil
		}
		if err := p.take(at, after); err != nil {
			return query.Page{}, err
		}
		if p.page.More {
			break
		}
	}
	return p.page, nil
}

// pager fills a page.
type pager struct {
	ctx  context.Context
	t    *queried
	s    query.Scan
	left int // bytes
	page query.Page
	err  error // within a walk
	seen int   // rows
}

// take adds rows of one task from behind a row key on, nil: from the first.
func (p *pager) take(at record.Partition, after []byte) error {
	view, err := p.t.view(at)
	if err != nil {
		return err
	}
	lo, hi := p.s.Lo, p.s.Hi
	switch {
	case after != nil && p.s.Reverse:
		hi = after
	case after != nil:
		lo = append(bytes.Clone(after), 0)
	}
	if hi != nil && bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	if p.s.Of != nil {
		err = p.windowsOf(view, at, lo, hi)
	} else {
		err = view.Range(p.t.store, lo, hi, p.s.Reverse, func(key, value []byte) bool { return p.add(at, key, value) })
	}
	switch {
	case p.err != nil:
		return p.err
	case err != nil:
		return p.t.failed(at, err)
	}
	return nil
}

// add takes a row, copied, while there is room; false: there is none, and the page ends before it.
func (p *pager) add(at record.Partition, key, value []byte) bool {
	if p.seen++; p.seen%contextRows == 0 && !p.alive() {
		return false
	}
	size := len(key) + len(value) + query.RowOverhead
	if len(p.page.Rows) > 0 && size > p.left {
		last := p.page.Rows[len(p.page.Rows)-1]
		p.page.More, p.page.Next = true, query.Cursor{Partition: at}
		if last.Partition == at {
			p.page.Next.After = last.Key
		}
		return false
	}
	p.left -= size
	b := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
	p.page.Rows = append(p.page.Rows, query.Row{
		Partition: at, Key: b[:len(key):len(key)], Value: b[len(key):],
	})
	return true
}

func (p *pager) alive() bool {
	p.err = p.ctx.Err()
	return p.err == nil
}

// windowsOf adds the rows that one key has in windows: it goes from window to window that is there, and looks for the
// key in each. lo and hi bound row keys.
func (p *pager) windowsOf(view *task.View, at record.Partition, lo, hi []byte) error {
	for range windowsPerPage {
		if !p.alive() {
			return nil
		}
		row, start, err := p.nextWindow(view, lo, hi)
		if err != nil || row == nil {
			return err
		}
		inside := bytes.Compare(row, lo) >= 0 && bytes.Compare(row, hi) < 0
		if inside {
			value, ok, err := view.Get(p.t.store, nil, row)
			if err != nil {
				return err
			}
			if ok && !p.add(at, row, value) {
				return nil
			}
		}
		if p.s.Reverse {
			hi = window.AppendStart(nil, start)
		} else {
			lo = window.AppendStart(nil, start+1)
		}
		if bytes.Compare(lo, hi) >= 0 {
			return nil
		}
		p.page.Next = query.Cursor{Partition: at, After: row}
	}
	p.page.More = true
	return nil
}

// nextWindow finds the next window that is there, and the row key of the wanted key in it; nil: there is none.
func (p *pager) nextWindow(view *task.View, lo, hi []byte) (row []byte, start int64, err error) {
	found := false
	var damaged error
	err = view.Range(p.t.store, lo, hi, p.s.Reverse, func(key, _ []byte) bool {
		found = true
		start, _, damaged = window.SplitKey(key)
		return false
	})
	switch {
	case err != nil:
		return nil, 0, err
	case damaged != nil:
		return nil, 0, fault.New(fault.CorruptRecord, "a row of a window store: %w", damaged)
	case !found:
		return nil, 0, nil
	}
	return window.AppendKey(nil, start, p.s.Of), start, nil
}
