package observe

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/state/engine/statedb"
)

// State is what the database of one task has in memory.
type State struct {
	App    string
	Bytes  int64 // for rows that were written or read last
	AtRest bool  // nobody has used it for a while: it has nothing
}

// stateMeter counts what applications do with their state, each application as a whole.
type stateMeter struct{ apps *bounded[string, appState] }

// appState is one application.
type appState struct {
	app    string // as label
	counts statedb.Counts

	rowQueries, pageQueries, failedQueries, queriedRows atomic.Uint64
}

var _ prometheus.Collector = (*stateMeter)(nil)

func newStateMeter(r *prometheus.Registry) *stateMeter {
	s := &stateMeter{newBounded(maxApps, func(app string, other bool) *appState {
		if other {
			app = otherValue
		}
		return &appState{app: app}
	})}
	r.MustRegister(s)
	return s
}

// State is what the state databases of an application's tasks count in.
func (m *Metrics) State(app string) *statedb.Counts { return &m.state.apps.of(app).counts }

// QueriedRow counts a query for one row of an application that runs here.
func (m *Metrics) QueriedRow(app string, found bool, err error) {
	a := m.state.apps.of(app)
	a.rowQueries.Add(1)
	if found {
		a.queriedRows.Add(1)
	}
	if err != nil {
		a.failedQueries.Add(1)
	}
}

// QueriedPage counts a query for a page of rows of an application that runs here.
func (m *Metrics) QueriedPage(app string, rows int, err error) {
	a := m.state.apps.of(app)
	a.pageQueries.Add(1)
	a.queriedRows.Add(uint64(rows))
	if err != nil {
		a.failedQueries.Add(1)
	}
}

// The metrics of each application's state.
var (
	stateGets   = describe("millstream_state_gets_total", "Single rows that tasks and queries asked for.", "app")
	stateHits   = describe("millstream_state_cached_gets_total", "Of them, those that a cache answered.", "app")
	stateWalks  = describe("millstream_state_walks_total", "Walks over rows.", "app")
	stateFlush  = describe("millstream_state_applies_total", "Times that tasks brought changed rows to their databases.", "app")
	stateRows   = describe("millstream_state_applied_rows_total", "Changed rows that were brought there.", "app")
	stateBytes  = describe("millstream_state_applied_bytes_total", "Bytes of these rows, with some for each.", "app")
	stateRests  = describe("millstream_state_rests_total", "Times that an unused database gave its memory back.", "app")
	stateWakes  = describe("millstream_state_wakes_total", "Times that one of these was used again.", "app")
	stateMemory = describe("millstream_state_memory_bytes", "Memory for rows that were written or read last.", "app")
	stateOpen   = describe("millstream_state_databases", "State databases of tasks that run here.", "app")
	stateIdle   = describe("millstream_state_resting_databases", "Of them, those that have nothing in memory.", "app")

	queryCalls  = describe("millstream_query_calls_total", "Queries of an application's stores.", "app", "call")
	queryFailed = describe("millstream_query_failures_total", "Of them, those that ended in an error.", "app")
	queryRows   = describe("millstream_query_rows_total", "Rows that were given to who asked.", "app")
)

// Describe implements prometheus.Collector.
func (s *stateMeter) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		stateGets, stateHits, stateWalks, stateFlush, stateRows, stateBytes, stateRests, stateWakes, queryCalls, queryFailed,
		queryRows,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *stateMeter) Collect(to chan<- prometheus.Metric) {
	out := sink(to)
	for _, a := range s.apps.all() {
		c := &a.counts
		hits := c.CacheHits.Load() // before the sum that they are part of
		out.counter(stateHits, hits, a.app)
		out.counter(stateGets, c.Gets.Load(), a.app)
		out.counter(stateWalks, c.Walks.Load(), a.app)
		out.counter(stateFlush, c.Applies.Load(), a.app)
		out.counter(stateRows, c.Rows.Load(), a.app)
		out.counter(stateBytes, c.Bytes.Load(), a.app)
		out.counter(stateRests, c.Rests.Load(), a.app)
		out.counter(stateWakes, c.Wakes.Load(), a.app)
		out.counter(queryCalls, a.rowQueries.Load(), a.app, "row")
		out.counter(queryCalls, a.pageQueries.Load(), a.app, "page")
		out.counter(queryFailed, a.failedQueries.Load(), a.app)
		out.counter(queryRows, a.queriedRows.Load(), a.app)
	}
}

// collectStates tells what the databases of each application have in memory, by the labels that their counters have.
func (s *stateMeter) collectStates(out sink, each func(yield func(State) bool)) {
	type sum struct{ bytes, open, resting int64 }
	sums := map[string]*sum{}
	for d := range each {
		app := s.apps.of(d.App).app
		if sums[app] == nil {
			sums[app] = &sum{}
		}
		sums[app].bytes += d.Bytes
		sums[app].open++
		if d.AtRest {
			sums[app].resting++
		}
	}
	for app, n := range sums {
		out.gauge(stateMemory, float64(n.bytes), app)
		out.gauge(stateOpen, float64(n.open), app)
		out.gauge(stateIdle, float64(n.resting), app)
	}
}
