package remote

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/cluster/app"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/query"
)

// ListApps implements client.Transport.
func (t *transport) ListApps(ctx context.Context) ([]app.Listing, error) {
	a, err := t.apps.ListApps(t.with(ctx), &apiv1.ListAppsRequest{})
	if err != nil {
		return nil, t.refusal(ctx, err)
	}
	return convert(a.Apps, func(l *apiv1.ListedApp) app.Listing {
		return app.Listing{
			Name: l.Name, State: l.State, Tasks: int(l.Tasks), Running: int(l.Running), Failed: int(l.Failed),
		}
	}), nil
}

// DescribeApp implements client.Transport.
func (t *transport) DescribeApp(ctx context.Context, name string, countRows bool) (app.Description, error) {
	a, err := t.apps.DescribeApp(t.with(ctx), &apiv1.DescribeAppRequest{Name: name, CountRows: countRows})
	if err != nil {
		return app.Description{}, t.refusal(ctx, err)
	}
	return app.Description{
		Name: a.Name, State: a.State, LagRecords: a.LagRecords, RowsCounted: a.RowsCounted,
		Subs: convert(a.Subtopologies, func(s *apiv1.AppSub) app.Sub {
			return app.Sub{
				ID: int(s.Id), Inputs: names(s.Inputs), Outputs: names(s.Outputs), Stores: names(s.Stores), Tasks: int(s.Tasks),
			}
		}),
		Stores: convert(a.Stores, func(s *apiv1.AppStore) app.Store {
			return app.Store{
				Name: s.Name, Kind: s.Kind, Sub: int(s.Subtopology), KeyFormat: s.KeyFormat, ValueFormat: s.ValueFormat,
				InMemory: s.InMemory, Changelog: s.Changelog, WindowMs: s.WindowMs, RetentionMs: s.RetentionMs,
				Rows: s.Rows, Bytes: s.Bytes,
			}
		}),
		Tasks: convert(a.Tasks, taskDetail),
	}, nil
}

// names is a list that is never nil.
func names(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

func taskDetail(t *apiv1.AppTask) app.TaskDetail {
	d := app.TaskDetail{
		Task: app.Task{
			Task: t.Task, State: app.TaskState(t.State), Epoch: t.Epoch, Restarts: int(t.Restarts), Error: t.Error,
			Topic: t.Topic, Partition: record.Partition(t.Partition), Offset: record.Offset(t.Offset),
		},
		LagRecords: t.LagRecords, StateBytes: t.StateBytes,
		Inputs: convert(t.Inputs, func(in *apiv1.AppInput) app.Input {
			return app.Input{
				Topic: in.Topic, Partition: record.Partition(in.Partition), Committed: record.Offset(in.Committed),
				End: record.Offset(in.End), LagRecords: in.LagRecords,
			}
		}),
	}
	for _, r := range t.Restoring {
		d.Restoring = append(d.Restoring, app.Restoring{
			Store: r.Store, Next: record.Offset(r.Next), End: record.Offset(r.End), Records: int(r.Records),
		})
	}
	return d
}

// DrawApp implements client.Transport.
func (t *transport) DrawApp(ctx context.Context, name, form string) (string, error) {
	a, err := t.apps.DrawApp(t.with(ctx), &apiv1.DrawAppRequest{Name: name, Form: form})
	return a.GetText(), t.refusal(ctx, err)
}

// PauseApp implements client.Transport.
func (t *transport) PauseApp(ctx context.Context, name string, paused bool) error {
	_, err := t.apps.PauseApp(t.with(ctx), &apiv1.PauseAppRequest{Name: name, Paused: paused})
	return t.refusal(ctx, err)
}

// ResetApp implements client.Transport.
func (t *transport) ResetApp(ctx context.Context, name string, execute bool) (app.Reset, error) {
	a, err := t.apps.ResetApp(t.with(ctx), &apiv1.ResetAppRequest{Name: name, Execute: execute})
	if err != nil {
		return app.Reset{}, t.refusal(ctx, err)
	}
	return app.Reset{
		App: a.Name, Done: a.Done, Topics: names(a.Topics), States: names(a.States),
		Offsets: convert(a.Offsets, func(o *apiv1.AppOffset) app.Offset {
			return app.Offset{Topic: o.Topic, Partition: record.Partition(o.Partition), Offset: record.Offset(o.Offset)}
		}),
	}, nil
}

func target(q query.Target) *apiv1.StoreTarget {
	return &apiv1.StoreTarget{
		App: q.App, Store: q.Store, Window: q.Kind == plan.StoreWindow, KeyFormat: q.KeyFormat, ValueFormat: q.ValueFormat,
	}
}

func partitionOf(p record.Partition) *int32 {
	if p == query.AnyPartition {
		return nil
	}
	n := int32(p)
	return &n
}

// QueryRow implements client.Transport.
func (t *transport) QueryRow(ctx context.Context, g query.Get) (query.Got, error) {
	a, err := t.apps.GetRow(t.with(ctx), &apiv1.GetRowRequest{
		Target: target(g.Target), Row: g.Row, Owner: g.Owner, Partition: partitionOf(g.Partition),
	})
	if err != nil {
		return query.Got{}, t.refusal(ctx, err)
	}
	return query.Got{
		Found: a.Found, Value: a.Value, Partition: record.Partition(a.Partition),
		Window: time.Duration(a.WindowMs) * time.Millisecond,
	}, nil
}

// QueryPage implements client.Transport.
func (t *transport) QueryPage(ctx context.Context, s query.Scan) (query.Page, error) {
	r := &apiv1.ScanRowsRequest{
		Target: target(s.Target), Lo: s.Lo, Hi: s.Hi, Of: s.Of, Partition: partitionOf(s.Partition), Reverse: s.Reverse,
		MaxBytes: uint32(min(max(s.MaxBytes, 0), query.MaxPageBytes)),
	}
	if s.From.Partition != 0 || s.From.After != nil {
		r.From = &apiv1.ScanCursor{Partition: int32(s.From.Partition), After: s.From.After}
	}
	a, err := t.apps.ScanRows(t.with(ctx), r)
	if err != nil {
		return query.Page{}, t.refusal(ctx, err)
	}
	p := query.Page{
		More: a.Next != nil, Window: time.Duration(a.WindowMs) * time.Millisecond,
		Rows: convert(a.Rows, func(r *apiv1.StoreRow) query.Row {
			return query.Row{Partition: record.Partition(r.Partition), Key: r.Key, Value: r.Value}
		}),
	}
	if a.Next != nil {
		p.Next = query.Cursor{Partition: record.Partition(a.Next.Partition), After: a.Next.After}
	}
	return p, nil
}
