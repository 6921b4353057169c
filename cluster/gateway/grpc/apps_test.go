package grpc

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millstream-io/millstream/cluster/app"
	apiv1 "github.com/millstream-io/millstream/proto/api/v1"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/query"
)

// oneApp is an Apps that answers everything, and notes the last scan.
type oneApp struct{ scan chan query.Scan }

func (oneApp) ListApps() []app.Listing { return []app.Listing{{Name: "shop"}} }
func (oneApp) DescribeApp(context.Context, string, bool) (app.Description, error) {
	return app.Description{Tasks: []app.TaskDetail{{Inputs: make([]app.Input, 1)}}}, nil
}
func (oneApp) DrawApp(string, string) (string, error)  { return "drawn", nil }
func (oneApp) PauseApp(context.Context, string) error  { return nil }
func (oneApp) ResumeApp(context.Context, string) error { return nil }
func (oneApp) ResetApp(context.Context, string, bool) (app.Reset, error) {
	return app.Reset{}, fault.New(fault.NonEmptyGroup, "it runs").WithHint("stop it")
}
func (oneApp) QueryRow(context.Context, query.Get) (query.Got, error) {
	return query.Got{Found: true}, nil
}

func (a oneApp) QueryPage(_ context.Context, s query.Scan) (query.Page, error) {
	select {
	case a.scan <- s:
	default:
	}
	return query.Page{
		Rows: []query.Row{{Partition: 1, Key: []byte("k")}}, More: true, Window: time.Hour,
		Next: query.Cursor{Partition: 1, After: []byte{}},
	}, nil
}

// Goal: a scan keeps what is absent apart from what is empty, in both directions, and gives its budget back also where
// it asks for more than there is; refusals keep code and hint; a door without applications says so. Method: calls
// against a port that answers everything.
func TestApps(t *testing.T) {
	a := oneApp{make(chan query.Scan, 1)}
	s := serve(t, newHeldPort(), Options{Apps: a})
	c := apiv1.NewAppsClient(s.conn)
	zero := int32(0)
	got, err := c.ScanRows(s.ctx, &apiv1.ScanRowsRequest{
		Target: &apiv1.StoreTarget{App: "shop", Window: true}, Of: []byte{}, Partition: &zero, MaxBytes: 1 << 31,
		From: &apiv1.ScanCursor{Partition: 2, After: []byte{}},
	})
	if err != nil || got.Next.After == nil || got.WindowMs != 3_600_000 || len(got.Rows) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	scan := <-a.scan
	if scan.Lo != nil || scan.Hi != nil || scan.Of == nil || scan.From.After == nil || scan.From.Partition != 2 ||
		scan.Partition != 0 || scan.Kind != plan.StoreWindow || scan.MaxBytes != query.MaxPageBytes {
		t.Errorf("asked for %+v", scan)
	}
	if _, err := c.ScanRows(s.ctx, &apiv1.ScanRowsRequest{}); err != nil {
		t.Error(err)
	}
	if scan = <-a.scan; scan.Partition != query.AnyPartition || scan.From.After != nil || scan.Of != nil {
		t.Errorf("asked for %+v", scan)
	}
	if _, err := c.ResetApp(s.ctx, &apiv1.ResetAppRequest{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("reset: %v", err)
	}
	none := apiv1.NewAppsClient(serve(t, newHeldPort(), Options{}).conn)
	if _, err := none.ListApps(s.ctx, &apiv1.ListAppsRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a door without applications: %v", err)
	}
}
