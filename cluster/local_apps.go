package cluster

import (
	"context"

	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/topology/query"
)

// QueryRow implements client.Transport.
func (l local) QueryRow(ctx context.Context, g query.Get) (query.Got, error) {
	return l.m.QueryRow(ctx, g)
}

// QueryPage implements client.Transport.
func (l local) QueryPage(ctx context.Context, s query.Scan) (query.Page, error) {
	return l.m.QueryPage(ctx, s)
}

// ListApps implements client.Transport.
func (l local) ListApps(context.Context) ([]app.Listing, error) { return l.m.ListApps(), nil }

// DescribeApp implements client.Transport.
func (l local) DescribeApp(ctx context.Context, name string, countRows bool) (app.Description, error) {
	return l.m.DescribeApp(ctx, name, countRows)
}

// DrawApp implements client.Transport.
func (l local) DrawApp(_ context.Context, name, form string) (string, error) {
	return l.m.DrawApp(name, form)
}

// PauseApp implements client.Transport.
func (l local) PauseApp(ctx context.Context, name string, paused bool) error {
	return l.m.setPaused(ctx, name, paused)
}

// ResetApp implements client.Transport.
func (l local) ResetApp(ctx context.Context, name string, execute bool) (app.Reset, error) {
	return l.m.ResetApp(ctx, name, execute)
}
