package grpc

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/cluster/app"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/query"
)

// Apps is what stands behind the service of that name. Calls may block on the disk and on other parts of the member,
// and end with their context. *cluster.Member implements it.
type Apps interface {
	ListApps() []app.Listing
	DescribeApp(ctx context.Context, name string, countRows bool) (app.Description, error)
	DrawApp(name, form string) (string, error)
	PauseApp(ctx context.Context, name string) error
	ResumeApp(ctx context.Context, name string) error
	ResetApp(ctx context.Context, name string, execute bool) (app.Reset, error)
	QueryRow(ctx context.Context, g query.Get) (query.Got, error)
	QueryPage(ctx context.Context, s query.Scan) (query.Page, error)
}

// apps serves apiv1.Apps.
type apps struct {
	apiv1.UnsafeAppsServer
	d *door
}

// within bounds a call that has no deadline.
func (s *apps) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, s.d.by(ctx))
}

// ListApps implements apiv1.AppsServer.
func (s *apps) ListApps(context.Context, *apiv1.ListAppsRequest) (*apiv1.ListAppsResponse, error) {
	out := &apiv1.ListAppsResponse{}
	for _, a := range s.d.o.Apps.ListApps() {
		out.Apps = append(out.Apps, &apiv1.ListedApp{
			Name: a.Name, State: a.State, Tasks: int32(a.Tasks), Running: int32(a.Running), Failed: int32(a.Failed),
		})
	}
	return out, nil
}

// DescribeApp implements apiv1.AppsServer.
func (s *apps) DescribeApp(ctx context.Context, r *apiv1.DescribeAppRequest) (*apiv1.DescribeAppResponse, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	d, err := s.d.o.Apps.DescribeApp(ctx, r.Name, r.CountRows)
	if err != nil {
		return nil, err
	}
	out := &apiv1.DescribeAppResponse{
		Name: d.Name, State: d.State, LagRecords: d.LagRecords, RowsCounted: d.RowsCounted,
	}
	for _, sub := range d.Subs {
		out.Subtopologies = append(out.Subtopologies, &apiv1.AppSub{
			Id: int32(sub.ID), Inputs: sub.Inputs, Outputs: sub.Outputs, Stores: sub.Stores, Tasks: int32(sub.Tasks),
		})
	}
	for _, st := range d.Stores {
		out.Stores = append(out.Stores, &apiv1.AppStore{
			Name: st.Name, Kind: st.Kind, Subtopology: int32(st.Sub), KeyFormat: st.KeyFormat, ValueFormat: st.ValueFormat,
			InMemory: st.InMemory, Changelog: st.Changelog, WindowMs: st.WindowMs, RetentionMs: st.RetentionMs,
			Rows: st.Rows, Bytes: st.Bytes,
		})
	}
	for _, t := range d.Tasks {
		out.Tasks = append(out.Tasks, appTask(t))
	}
	return out, nil
}

func appTask(t app.TaskDetail) *apiv1.AppTask {
	out := &apiv1.AppTask{
		Task: t.Task.Task, State: string(t.State), Epoch: t.Epoch, Restarts: int32(t.Restarts), Error: t.Error,
		Topic: t.Topic, Partition: int32(t.Partition), Offset: int64(t.Offset), LagRecords: t.LagRecords,
		StateBytes: t.StateBytes,
	}
	for _, r := range t.Restoring {
		out.Restoring = append(out.Restoring, &apiv1.AppRestoring{
			Store: r.Store, Next: int64(r.Next), End: int64(r.End), Records: int64(r.Records),
		})
	}
	for _, in := range t.Inputs {
		out.Inputs = append(out.Inputs, &apiv1.AppInput{
			Topic: in.Topic, Partition: int32(in.Partition), Committed: int64(in.Committed), End: int64(in.End),
			LagRecords: in.LagRecords,
		})
	}
	return out
}

// DrawApp implements apiv1.AppsServer.
func (s *apps) DrawApp(_ context.Context, r *apiv1.DrawAppRequest) (*apiv1.DrawAppResponse, error) {
	text, err := s.d.o.Apps.DrawApp(r.Name, r.Form)
	if err != nil {
		return nil, err
	}
	return &apiv1.DrawAppResponse{Text: text}, nil
}

// PauseApp implements apiv1.AppsServer.
func (s *apps) PauseApp(ctx context.Context, r *apiv1.PauseAppRequest) (*apiv1.PauseAppResponse, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	set := s.d.o.Apps.ResumeApp
	if r.Paused {
		set = s.d.o.Apps.PauseApp
	}
	if err := set(ctx, r.Name); err != nil {
		return nil, err
	}
	return &apiv1.PauseAppResponse{}, nil
}

// ResetApp implements apiv1.AppsServer.
func (s *apps) ResetApp(ctx context.Context, r *apiv1.ResetAppRequest) (*apiv1.ResetAppResponse, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	d, err := s.d.o.Apps.ResetApp(ctx, r.Name, r.Execute)
	if err != nil {
		return nil, err
	}
	out := &apiv1.ResetAppResponse{Name: d.App, Done: d.Done, Topics: d.Topics, States: d.States}
	for _, o := range d.Offsets {
		out.Offsets = append(out.Offsets, &apiv1.AppOffset{
			Topic: o.Topic, Partition: int32(o.Partition), Offset: int64(o.Offset),
		})
	}
	return out, nil
}

func targetOf(t *apiv1.StoreTarget) query.Target {
	out := query.Target{
		App: t.GetApp(), Store: t.GetStore(), KeyFormat: t.GetKeyFormat(), ValueFormat: t.GetValueFormat(),
	}
	if t.GetWindow() {
		out.Kind = plan.StoreWindow
	}
	return out
}

func partitionOr(p *int32) record.Partition {
	if p == nil {
		return query.AnyPartition
	}
	return record.Partition(*p)
}

// GetRow implements apiv1.AppsServer.
func (s *apps) GetRow(ctx context.Context, r *apiv1.GetRowRequest) (*apiv1.GetRowResponse, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	got, err := s.d.o.Apps.QueryRow(ctx, query.Get{
		Target: targetOf(r.Target), Row: r.Row, Owner: r.Owner, Partition: partitionOr(r.Partition),
	})
	if err != nil {
		return nil, err
	}
	return &apiv1.GetRowResponse{
		Found: got.Found, Value: got.Value, Partition: int32(got.Partition), WindowMs: got.Window.Milliseconds(),
	}, nil
}

// ScanRows implements apiv1.AppsServer. A page counts into the member's budget until it is encoded.
func (s *apps) ScanRows(ctx context.Context, r *apiv1.ScanRowsRequest) (*apiv1.ScanRowsResponse, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	scan := query.Scan{
		Target: targetOf(r.Target), Lo: r.Lo, Hi: r.Hi, Of: r.Of, Partition: partitionOr(r.Partition), Reverse: r.Reverse,
		MaxBytes: int(min(r.MaxBytes, query.MaxPageBytes)),
	}
	if r.From != nil {
		scan.From = query.Cursor{Partition: record.Partition(r.From.Partition), After: r.From.After}
	}
	room := int64(query.DefaultPageBytes)
	if scan.MaxBytes > 0 {
		room = int64(scan.MaxBytes)
	}
	back, err := s.d.charge(ctx, room)
	if err != nil {
		return nil, err
	}
	defer back()
	page, err := s.d.o.Apps.QueryPage(ctx, scan)
	if err != nil {
		return nil, err
	}
	return pageOf(page), nil
}

func pageOf(p query.Page) *apiv1.ScanRowsResponse {
	out := &apiv1.ScanRowsResponse{WindowMs: int64(p.Window / time.Millisecond)}
	for _, row := range p.Rows {
		out.Rows = append(out.Rows, &apiv1.StoreRow{Partition: int32(row.Partition), Key: row.Key, Value: row.Value})
	}
	if p.More {
		out.Next = &apiv1.ScanCursor{Partition: int32(p.Next.Partition), After: p.Next.After}
	}
	return out
}
