package observe

import (
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/cluster/gateway/kafka"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// partitionsOf makes the partitions of a snapshot: n of one topic, replicas from 1 on.
func partitionsOf(topic string, n int) func(yield func(Partition) bool) {
	return func(yield func(Partition) bool) {
		for i := range n {
			p := Partition{
				Replica: record.ReplicaID(i + 1), Topic: topic, Partition: record.Partition(i),
				Serving: true, Leader: i%2 == 0, ReadOnly: true, DamagedRanges: 2, Epoch: 7, LogStart: 10, HighWatermark: 20, LastStable: 19, LogEnd: 21,
			}
			if !yield(p) {
				return
			}
		}
	}
}

// statesOf makes two databases of each of n applications, one of them at rest.
func statesOf(n int) func(yield func(State) bool) {
	return func(yield func(State) bool) {
		for i := range 2 * n {
			if !yield(State{App: fmt.Sprintf("name%d", i/2), Bytes: 100, AtRest: i%2 == 1}) {
				return
			}
		}
	}
}

// busy is a member's metrics after something of everything has happened n times, each time under new names.
func busy(n int, o Options) *Metrics {
	o.Snapshot = func() Snapshot {
		return Snapshot{
			Started: true, Ready: true, Member: 3, Cluster: "c", Topics: 1, Partitions: partitionsOf("t", n),
			LostClasses: []string{"long"}, DamagedRanges: n, States: statesOf(n),
		}
	}
	m := New(o)
	for i := range n {
		odd := fmt.Sprintf("name%d", i)
		a, k, h, p := m.Actors(), m.Kafka(), m.HTTP(), m.Partition(record.ReplicaID(i+1))
		a.Received(odd)
		a.Dropped(odd, actors.DropStale, 2)
		a.Restarted(odd)
		a.TimedOut(odd)
		a.PoolWaiting(i)
		k.Opened()
		k.Closed(kafka.CauseTimeout)
		k.Answered(int16(i-1), 3, 100, 200, time.Millisecond)
		k.Payload(10, 5)
		k.Throttled(time.Second)
		k.Panicked(int16(i))
		h.Answered(odd, 200, time.Millisecond)
		h.Refused()
		g := m.GRPC()
		g.Stuck("/millstream.api.v1.Records/Fetch")
		g.Opened()
		g.Closed()
		g.Refused()
		g.Began("/millstream.api.v1." + odd)
		g.Ended("/millstream.api.v1."+odd, "OK", time.Millisecond)
		g.Produced(10)
		g.Fetched(10)
		g.Throttled(time.Second)
		g.Panicked(odd)
		e := m.Engine()
		e.Committed(state.ClassLong, 3, 100, time.Millisecond)
		e.BucketRemoved(state.ClassLong, 10)
		e.BucketRewritten(state.ClassShort, 10, 4)
		m.SlowGroup(state.ClassMeta)
		p.LeaderChanged(1, 1, true)
		p.LeaderChanged(2, 0, false)
		p.Proposed(2, 50)
		p.Waiting(100)
		p.Compacted(90, 30, 4)
		p.Dropped(odd)
		m.State(odd).Gets.Add(3)
		m.QueriedRow(odd, true, nil)
		m.QueriedPage(odd, 3, errors.New("no"))
		tasks := m.Task(task.ID{App: odd, Sub: i, Partition: 9}, nil)
		tasks.Stepped(task.ID{}, 3, 4)
		tasks.Refused(&plan.RecordError{}, plan.DeadLetter)
		tasks.Reset(task.ID{}, "t", 1, 2)
		tasks.Retried(task.ID{}, odd+" with more", errors.New("no"))
	}
	return m
}

// family is a metric family in plain words.
type family struct {
	name, help string
	counter    bool
	histogram  bool
	labels     []string
	series     int
}

func gather(t *testing.T, g prometheus.Gatherer) []family {
	t.Helper()
	got, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []family
	for _, f := range got {
		one := family{
			name: f.GetName(), help: f.GetHelp(), counter: f.GetType().String() == "COUNTER",
			histogram: f.GetType().String() == "HISTOGRAM", series: len(f.GetMetric()),
		}
		for _, l := range f.GetMetric()[0].GetLabel() {
			one.labels = append(one.labels, l.GetName())
		}
		all = append(all, one)
	}
	return all
}

// The last word of a name says what is counted or in what unit.
var (
	packages = "actors|build|engine|grpc|http|kafka|member|partition|query|state|store|task"
	units    = "messages|calls|restarts|wipes|timeouts|jobs|info|seconds|bytes|answers|connections|panics|throttles|ready|topics|" +
		"partitions|tasks|inputs|offset|epoch|leader|entries|batches|stalls|changes|records|resets|retries|steps|fenced|" +
		"buckets|compactions|groups|lost|only|ranges|rows|gets|walks|applies|rests|wakes|databases|failures"
	ruleOfNames = regexp.MustCompile(`^millstream_(` + packages + `)_([a-z]+_)*(` + units + `)(_total)?$`)
)

// breaches says what is wrong with the name, the help and the labels of a family.
func breaches(f family) []string {
	var out []string
	bad := func(ok bool, what string) {
		if !ok {
			out = append(out, f.name+": "+what)
		}
	}
	bad(ruleOfNames.MatchString(f.name) || f.name == "millstream_build_info", "not millstream_<package>_<noun>_<unit>")
	bad(f.counter == strings.HasSuffix(f.name, "_total"), "counters, and only they, end in _total")
	bad(strings.HasSuffix(f.help, ".") && len(f.help) > 10, "help is no sentence")
	known := []string{
		"api", "app", "call", "cause", "class", "cluster", "decision", "goversion", "kind", "node", "partition", "reason",
		"revision", "route", "status", "subtopology", "topic", "version",
	}
	for _, l := range f.labels {
		bad(slices.Contains(known, l), "unknown label "+l)
	}
	return out
}

// own leaves out what the runtime and process collectors tell, under names that every dashboard knows.
func own(all []family) []family {
	return slices.DeleteFunc(all, func(f family) bool {
		return strings.HasPrefix(f.name, "go_") || strings.HasPrefix(f.name, "process_")
	})
}

// Goal: names, helps and labels follow the house rules. Method: a check over everything that a busy member
// tells.
func TestNamesFollowTheRules(t *testing.T) {
	all := own(gather(t, busy(3, Options{}).registry))
	if len(all) < 45 {
		t.Errorf("only %d metrics were told", len(all))
	}
	for _, f := range all {
		for _, b := range breaches(f) {
			t.Error(b)
		}
	}
}

// Goal: the check of names sees what is wrong. Method: families that break one rule each.
func TestNamesNegativeControl(t *testing.T) {
	good := family{name: "millstream_kafka_copied_bytes_total", help: "Bytes of something.", counter: true}
	if b := breaches(good); len(b) != 0 {
		t.Fatal(b)
	}
	for what, spoil := range map[string]func(*family){
		"prefix":  func(f *family) { f.name = "kafka_copied_bytes_total" },
		"package": func(f *family) { f.name = "millstream_x_bytes_total" },
		"unit":    func(f *family) { f.name = "millstream_kafka_copied_total" }, "gauge": func(f *family) { f.counter = false },
		"counter": func(f *family) { f.name = "millstream_kafka_copied_bytes" }, "help": func(f *family) { f.help = "" },
		"label": func(f *family) { f.labels = []string{"client"} },
		"case":  func(f *family) { f.name = "millstream_kafka_Bytes_total" },
	} {
		f := good
		spoil(&f)
		if len(breaches(f)) == 0 {
			t.Errorf("%s: nothing is found in %+v", what, f)
		}
	}
}

// Goal: no label has unbounded values, and nothing gets lost over that. Method: many names of everything; the
// number of series is limited and the sum over them is right.
func TestLabelsAreBounded(t *testing.T) {
	const n, limit = 3000, 100
	m := busy(n, Options{MaxPartitions: limit})
	most := map[string]int{
		"kind": (maxKinds + 1) * 4, "reason": (maxKinds + 1) * 4, "api": len(apiNames), "route": maxRoutes + 1, "cause": 7,
		"class": int(state.ClassCount),
		"app":   (maxSubs + 1) * (maxWhats + 1), "topic": limit + 1,
	}
	for _, f := range own(gather(t, m.registry)) {
		for _, l := range f.labels {
			if top, ok := most[l]; ok && f.series > top {
				t.Errorf("%s has %d series, its label %s at most %d", f.name, f.series, l, top)
			}
		}
	}
	for name, want := range map[string]float64{
		"millstream_actors_received_messages_total": n, "millstream_actors_dropped_messages_total": 2 * n,
		"millstream_kafka_request_bytes_total": 100 * n, "millstream_partition_proposed_bytes_total": 50 * n,
		"millstream_partition_leader_changes_total": n, "millstream_partition_dropped_inputs_total": n,
		"millstream_state_gets_total": 3 * n, "millstream_query_calls_total": 2 * n, "millstream_query_rows_total": 4 * n,
		"millstream_query_failures_total": n, "millstream_state_memory_bytes": 200 * n,
		"millstream_state_databases": 2 * n, "millstream_state_resting_databases": n,
		"millstream_task_taken_records_total": 3 * n, "millstream_task_retries_total": n,
		"millstream_engine_group_rows_total": 3 * n, "millstream_engine_group_bytes_total": 100 * n,
		"millstream_engine_slow_groups_total": n, "millstream_engine_removed_buckets_total": n,
		"millstream_engine_removed_bytes_total": 10 * n, "millstream_engine_rewritten_buckets_total": n,
		"millstream_engine_rewrite_read_bytes_total": 10 * n, "millstream_engine_rewrite_written_bytes_total": 4 * n,
		"millstream_partition_compactions_total": n, "millstream_partition_compaction_read_bytes_total": 90 * n,
		"millstream_partition_compaction_left_bytes_total": 30 * n,
		"millstream_engine_lost":                           1, "millstream_store_damaged_ranges": n,
		"millstream_partition_damaged_ranges": 2 * limit, "millstream_partition_read_only": limit,
		"millstream_http_answers_total": n, "millstream_member_partitions": n,
		"millstream_member_unlisted_partitions": n - limit, "millstream_partition_leader_epoch": 7 * limit,
	} {
		if got := sum(t, m, name); got != want {
			t.Errorf("%s sums up to %v, want %v", name, got, want)
		}
	}
}

// sum adds all series of a counter or gauge; labels, as name=value, narrow it.
func sum(t *testing.T, m *Metrics, name string, labels ...string) (total float64) {
	t.Helper()
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, s := range f.GetMetric() {
			var has []string
			for _, l := range s.GetLabel() {
				has = append(has, l.GetName()+"="+l.GetValue())
			}
			if slices.ContainsFunc(labels, func(want string) bool { return !slices.Contains(has, want) }) {
				continue
			}
			total += s.GetCounter().GetValue() + s.GetGauge().GetValue()
		}
	}
	return total
}

// Goal: a replica that goes gives its series and its place back, and one that restarts goes on counting.
// Method: two places, three replicas.
func TestPartitionsComeAndGo(t *testing.T) {
	lives := []Partition{}
	m := New(Options{MaxPartitions: 2, Snapshot: func() Snapshot {
		return Snapshot{Started: true, Partitions: slices.Values(lives)}
	}})
	const name = "millstream_partition_proposed_bytes_total"
	for i := range 3 {
		id := record.ReplicaID(10 + i)
		lives = append(lives, Partition{Replica: id, Topic: fmt.Sprintf("t%d", i)})
		m.Partition(id).Proposed(1, 1)
		m.Partition(id).Proposed(1, 2)
	}
	for labels, want := range map[string]float64{"topic=t0": 3, "topic=t1": 3, "topic=t2": 0, "topic=(other)": 3} {
		if got := sum(t, m, name, labels); got != want {
			t.Errorf("%s: %v, want %v", labels, got, want)
		}
	}
	if got := sum(t, m, "millstream_partition_leader_epoch"); got != 0 {
		t.Errorf("replicas that do not serve tell an epoch: %v", got)
	}
	m.Forget(10)
	lives = append(lives[1:], Partition{Replica: 13, Topic: "t0"})
	m.Partition(13).Proposed(1, 5)
	for labels, want := range map[string]float64{"topic=t0": 5, "topic=t1": 3, "topic=(other)": 3} {
		if got := sum(t, m, name, labels); got != want {
			t.Errorf("after one went, %s: %v, want %v", labels, got, want)
		}
	}
}

// hears is a task.Observer that notes what it is told.
type hears struct{ told []string }

func (h *hears) Stepped(task.ID, int, int)                { h.told = append(h.told, "stepped") }
func (h *hears) Refused(*plan.RecordError, plan.Decision) { h.told = append(h.told, "refused") }
func (h *hears) Reset(task.ID, string, record.Offset, record.Offset) {
	h.told = append(h.told, "reset")
}
func (h *hears) Retried(task.ID, string, error)      { h.told = append(h.told, "retried") }
func (h *hears) Late(task.ID, *plan.Node)            { h.told = append(h.told, "late") }
func (h *hears) Skipped(task.ID, *plan.Node, string) { h.told = append(h.told, "skipped") }
func (h *hears) Restored(_ task.ID, _ task.Restored) { h.told = append(h.told, "restored") }
func (h *hears) Running(task.ID)                     { h.told = append(h.told, "running") }
func (h *hears) Paused(task.ID, bool)                { h.told = append(h.told, "paused") }
func (h *hears) Wiped(task.ID, error)                { h.told = append(h.told, "wiped") }

// Goal: who observed a task before still does. Method: one call of each.
func TestTaskObserverPassesOn(t *testing.T) {
	h := new(hears)
	m := New(Options{})
	o := m.Task(task.ID{App: "app", Sub: 1}, h)
	o.Stepped(task.ID{}, 1, 2)
	o.Refused(&plan.RecordError{}, plan.Skip)
	o.Reset(task.ID{}, "t", 0, 1)
	o.Retried(task.ID{}, "describe a-topic", errors.New("x"))
	o.Late(task.ID{}, nil)
	o.Skipped(task.ID{}, nil, "no key")
	o.Restored(task.ID{}, task.Restored{Store: "s", Records: 3})
	o.Restored(task.ID{}, task.Restored{Store: "s", Records: 5})
	o.Running(task.ID{})
	o.Paused(task.ID{}, true)
	o.Wiped(task.ID{}, errors.New("x"))
	const want = "stepped refused reset retried late skipped restored restored running paused wiped"
	if got := strings.Join(h.told, " "); got != want {
		t.Errorf("heard %s", got)
	}
	if got := sum(t, m, "millstream_task_restored_records_total", "app=app", "subtopology=1"); got != 5 {
		t.Errorf("restored: %v", got)
	}
	if got := sum(t, m, "millstream_task_skipped_records_total", "why=no key"); got != 1 {
		t.Errorf("skipped: %v", got)
	}
	if got := sum(t, m, "millstream_task_retries_total", "app=app", "subtopology=1", "call=describe"); got != 1 {
		t.Errorf("retries: %v", got)
	}
	if got := sum(t, m, "millstream_task_refused_records_total", "decision=skip"); got != 1 {
		t.Errorf("refused: %v", got)
	}
}

// Goal: the gauge of open connections goes up and down with them, and one that was too many does not count.
// Method: five come, two go, one is refused at the door.
func TestOpenConnections(t *testing.T) {
	m := New(Options{})
	for range 5 {
		m.Kafka().Opened()
	}
	for _, c := range []kafka.Cause{kafka.CauseClient, kafka.CauseRefused, kafka.CauseLimit} {
		m.Kafka().Closed(c)
	}
	if got := sum(t, m, "millstream_kafka_open_connections"); got != 3 {
		t.Errorf("%v connections are open, want 3", got)
	}
}

// Goal: two members in one process do not see each other's metrics, and nothing is registered globally.
// Method: count in one; look at the other and at the library's default registry.
func TestRegistriesAreApart(t *testing.T) {
	one, two := New(Options{}), New(Options{})
	one.Actors().Received("kind")
	const made = `kind="kind"`
	if !strings.Contains(scrape(t, one.Handler()), made) || strings.Contains(scrape(t, two.Handler()), made) {
		t.Error("the metrics of two members are mixed")
	}
	for _, f := range own(gather(t, prometheus.DefaultGatherer)) {
		if strings.HasPrefix(f.name, "millstream_") {
			t.Errorf("%s is registered globally", f.name)
		}
	}
}

func scrape(t *testing.T, h nethttp.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, _ := io.ReadAll(w.Body)
	if w.Code != 200 {
		t.Fatalf("scrape: %d %s", w.Code, body)
	}
	return string(body)
}

// Goal: one metric that cannot be told does not take the others along. Method: two partitions with the same
// labels.
func TestScrapeGoesOnAfterAMistake(t *testing.T) {
	m := New(Options{Snapshot: func() Snapshot {
		twice := Partition{Replica: 1, Topic: "same", Serving: true}
		return Snapshot{Started: true, Partitions: slices.Values([]Partition{twice, twice})}
	}})
	m.Partition(1)
	if body := scrape(t, m.Handler()); !strings.Contains(body, "millstream_member_partitions 2") {
		t.Errorf("the scrape is\n%s", body)
	}
}

// Goal: before the member has started only that is told. Method: a snapshot of nothing.
func TestSnapshotBeforeTheStart(t *testing.T) {
	m := New(Options{Snapshot: func() Snapshot { return Snapshot{} }})
	body := scrape(t, m.Handler())
	if !strings.Contains(body, "millstream_member_ready 0") || strings.Contains(body, "millstream_store_free_bytes") {
		t.Errorf("the scrape is\n%s", body)
	}
}

// Goal: what an observer of a hot path does is allocation free. Method: AllocsPerRun over the calls of a
// produce request.
func TestObserversDoNotAllocate(t *testing.T) {
	m := New(Options{})
	for name, call := range hotCalls(m) {
		call() // the first one makes the entry
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
