package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/topology/topologytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program, on a member of its own.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// payment       total as a stream   total as a table
	// alice   1                1                  1
	// charlie 1                2                  2
	// alice   3                5                  4
}

// Goal: the totals of the talk, and losing the disk in the middle changes none of them. Method: the test
// driver on three partitions, with everything on disk lost in front of the last payment.
func TestRunningTotal(t *testing.T) {
	topo, err := RunningTotal()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(3))
	topologytest.Send(d, Payments, "alice", 1)
	topologytest.Send(d, Payments, "charlie", 1)
	topologytest.Expect(d, StreamSum, topologytest.P("total", int64(1)), topologytest.P("total", int64(2)))
	topologytest.Expect(d, TableSum, topologytest.P("total", int64(1)), topologytest.P("total", int64(2)))

	d.Stop()
	d.LoseState()
	topologytest.Send(d, Payments, "alice", 3)
	topologytest.Expect(d, StreamSum, topologytest.P("total", int64(5)))
	topologytest.Expect(d, TableSum, topologytest.P("total", int64(4)))
	if v, ok := topologytest.Store(d, SumLatest, "total"); v != 4 || !ok {
		t.Errorf("the store holds %d, %v", v, ok)
	}
}
