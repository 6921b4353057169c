package cluster_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/millstream-io/millstream/cluster"
)

// A program with an HTTP server of its own serves a member's metrics beside its own pages, without a door.
func ExampleMember_MetricsHandler() {
	m, err := cluster.Start(context.Background(), cluster.Config{})
	if err != nil {
		panic(err)
	}
	defer m.Close()
	w := httptest.NewRecorder()
	m.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "millstream_member_ready") {
			fmt.Print(line)
		}
	}
	// Output: millstream_member_ready 1
}
