package cluster

import (
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// Goal: metrics tell what an application's tasks do with their state, and who asks for it. Method: count a record,
// ask for it and for one that is not there, and look at the series.
func TestStateMetrics(t *testing.T) {
	m := startWatched(t, Config{})
	if _, err := m.Client().CreateTopic(t.Context(), client.NewTopic{Name: "in", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	kept := topology.KV("totals", serde.String, serde.Int64)
	b := topology.NewBuilder("totals")
	topology.From(b, topology.NewTopic("in", serde.String, serde.String), topology.FromEarliest()).GroupByKey().Count(kept)
	stop := runBuilder(t, m, b)
	if _, err := m.Client().Produce(t.Context(), client.Record{Topic: "in", Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	awaitTotal(t, m, 1)
	if _, found, err := topology.Get(t.Context(), m, "totals", kept, "other"); err != nil || found {
		t.Fatalf("%v, %v", found, err)
	}
	w := httptest.NewRecorder()
	m.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for _, want := range []string{
		`millstream_state_applied_rows_total\{app="totals"\} [1-9]`, `millstream_state_gets_total\{app="totals"\} [1-9]`,
		`millstream_state_databases\{app="totals"\} 1\n`, `millstream_state_memory_bytes\{app="totals"\} [1-9]`,
		`millstream_query_rows_total\{app="totals"\} [1-9]`, `millstream_query_calls_total\{app="totals",call="row"\} [1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(w.Body.String()) {
			t.Errorf("%s is not told", want)
		}
	}
	stop()
}
