package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The program, on a member of its own.
func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// graphite: service.requests 10
	// graphite: service.requests 30
	// graphite: service.errors 1
	// graphite: service.requests 35
	// graphite: service.requests 40
	// graphite: service.requests 20
	// graphite: service.errors 4
}

// recorder is a connection that keeps what is written.
type recorder struct {
	net.Conn
	bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) { return r.Buffer.Write(b) }
func (r *recorder) Read(b []byte) (int, error)  { return r.Buffer.Read(b) }
func (r *recorder) Close() error                { return nil }

// Goal: sums follow the newest report of each instance; while Graphite is away nothing is lost and nothing
// overtakes. Method: the test driver on two partitions, with a Graphite that can be dialled at the third try.
func TestMetrics(t *testing.T) {
	var graphite recorder
	tries := 0
	topo, err := Metrics(func(context.Context) (net.Conn, error) {
		if tries++; tries < 3 {
			return nil, errors.New("connection refused")
		}
		return &graphite, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo, topologytest.Partitions(2), topologytest.StartAt(time.Unix(1000, 0)))
	report := func(instance string, n int64, gone bool) {
		topologytest.SendRecord(d, Counters, topology.Record[string, Counter]{
			Key: instance, Value: Counter{"requests", n}, NullValue: gone,
			Meta: topology.Meta{Time: time.Unix(7, 0)},
		})
	}
	report("web-1", 10, false)
	report("web-2", 20, false)
	if graphite.Len() != 0 {
		t.Errorf("before Graphite can be dialled: %q", graphite.String())
	}
	d.Advance(2 * time.Second)
	report("web-1", 15, false)
	report("web-2", 0, true)
	want := []string{"10", "30", "35", "15"}
	var got []string
	for line := range strings.Lines(graphite.String()) {
		f := strings.Fields(line)
		if got = append(got, f[1]); f[0] != "service.requests" || f[2] != "7" {
			t.Errorf("line %q", line)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("sums %v, want %v", got, want)
	}
	if n, _ := topologytest.Store(d, Sums, "requests"); n != 15 {
		t.Errorf("the store holds %d", n)
	}
}
