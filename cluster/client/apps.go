package client

import (
	"context"

	"github.com/millstream-io/millstream/cluster/app"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/query"
)

// AppTransport is the part of a Transport that asks the member about the applications that it runs.
type AppTransport interface {
	topology.Querier

	// ListApps lists them, by name.
	ListApps(ctx context.Context) ([]app.Listing, error)

	// DescribeApp tells all about one; with countRows the rows of its stores are counted, which reads them.
	DescribeApp(ctx context.Context, name string, countRows bool) (app.Description, error)

	// DrawApp draws the topology of one in a form: text, ascii, mermaid, dot or json.
	DrawApp(ctx context.Context, name, form string) (string, error)

	// PauseApp pauses one, or ends a pause, and waits until its tasks have.
	PauseApp(ctx context.Context, name string, paused bool) error

	// ResetApp gives up all that one has kept, which must not run; without execute it says what that is.
	ResetApp(ctx context.Context, name string, execute bool) (app.Reset, error)
}

var _ topology.Querier = (*Client)(nil)

// QueryRow reads one committed row of a store; topology.Get and its sisters have types. Like QueryPage it is not
// repeated: what is refused for a while, as during a restore, is told at once, with how far it is.
func (c *Client) QueryRow(ctx context.Context, g query.Get) (query.Got, error) {
	return c.t.QueryRow(ctx, g)
}

// QueryPage reads one page of committed rows of a store; topology.Scan and its sisters have types.
func (c *Client) QueryPage(ctx context.Context, s query.Scan) (query.Page, error) {
	return c.t.QueryPage(ctx, s)
}

// Apps lists the applications that the member runs, by name.
func (c *Client) Apps(ctx context.Context) (out []app.Listing, err error) {
	err = retry(ctx, func() (err error) {
		out, err = c.t.ListApps(ctx)
		return err
	})
	return out, err
}

// DescribeApp tells about an application: its sub-topologies, stores, tasks and how far they are behind. With
// countRows the rows of its stores are counted, which reads all of them. Error: fault.UnknownApp.
func (c *Client) DescribeApp(ctx context.Context, name string, countRows bool) (d app.Description, err error) {
	err = retry(ctx, func() (err error) {
		d, err = c.t.DescribeApp(ctx, name, countRows)
		return err
	})
	return d, err
}

// DrawApp draws the topology of an application in a form: text, ascii, mermaid, dot or json. Errors: fault.UnknownApp,
// fault.InvalidRequest for a form that is none of these.
func (c *Client) DrawApp(ctx context.Context, name, form string) (text string, err error) {
	err = retry(ctx, func() (err error) {
		text, err = c.t.DrawApp(ctx, name, form)
		return err
	})
	return text, err
}

// PauseApp has the tasks of an application take no more records, until ResumeApp or the next run; see
// cluster.Member.PauseApp. It returns when all of them have stopped. Error: fault.UnknownApp.
func (c *Client) PauseApp(ctx context.Context, name string) error {
	return c.t.PauseApp(ctx, name, true)
}

// ResumeApp ends a pause. Error: fault.UnknownApp.
func (c *Client) ResumeApp(ctx context.Context, name string) error {
	return c.t.PauseApp(ctx, name, false)
}

// ResetApp gives up all that an application has kept: internal topics, rows and positions; see
// cluster.Member.ResetApp. Without execute it only says what that is. Errors: fault.NonEmptyGroup where it runs,
// fault.UnknownApp where it has left nothing.
func (c *Client) ResetApp(ctx context.Context, name string, execute bool) (app.Reset, error) {
	return c.t.ResetApp(ctx, name, execute)
}
