package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"

	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
)

// watchLimit bounds every wait of these tests; it is generous, because the machine may be busy.
const watchLimit = 60 * time.Second

func startWatched(t *testing.T, c Config) *Member {
	t.Helper()
	c.DataDir = t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	m, err := Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// ask returns the status and the body of a path on a member's door.
func ask(t *testing.T, address, path string) (int, string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: watchLimit}
	resp, err := c.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// metric returns a series of a member, as it is written; -1 where there is none.
func metric(t *testing.T, m *Member, series string) float64 {
	t.Helper()
	code, body := ask(t, m.HTTPAddr(), "/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, body)
	}
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(body)
	if found == nil {
		return -1
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// await waits until a series has a value.
func awaitMetric(t *testing.T, m *Member, series string, want float64) {
	t.Helper()
	var got float64
	for until := time.Now().Add(watchLimit); time.Now().Before(until); {
		if got = metric(t, m, series); got == want {
			return
		}
	}
	t.Errorf("%s is %v, want %v", series, got, want)
}

// Goal: two members in one process have metrics of their own, and those of the one that works move. Method:
// produce to one, through the Kafka door and inside the process; read both.
func TestMetricsMove(t *testing.T) {
	one := startWatched(t, Config{HTTP: ":0", Kafka: ":0", AutoCreateTopics: true})
	two := startWatched(t, Config{HTTP: ":0", Kafka: ":0", AutoCreateTopics: true})
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	k, err := kgo.NewClient(kgo.SeedBrokers(one.KafkaAddr()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for range 5 {
		if err := k.ProduceSync(ctx, &kgo.Record{Topic: "lines", Value: []byte("over the wire")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.Client().Produce(ctx, client.Record{Topic: "lines", Value: []byte("inside")}); err != nil {
		t.Fatal(err)
	}
	const where = `{partition="0",topic="lines"}`
	for series, want := range map[string]float64{
		"millstream_partition_high_watermark_offset" + where: 6, "millstream_partition_log_end_offset" + where: 6,
		"millstream_partition_log_start_offset" + where: 0, "millstream_partition_leader" + where: 1,
		"millstream_partition_proposed_batches_total" + where:                         6,
		`millstream_kafka_request_seconds_count{api="produce"}`:                       5,
		"millstream_kafka_closed_connections_total{cause=\"panic\"}":                  0,
		"millstream_member_topics":                                                    1,
		"millstream_member_partitions":                                                2,
		"millstream_member_leading_partitions":                                        2,
		"millstream_member_unlisted_partitions":                                       0,
		"millstream_member_ready":                                                     1,
		"millstream_store_fenced":                                                     0,
		fmt.Sprintf(`millstream_member_info{cluster="%s",node="1"}`, one.ClusterID()): 1,
	} {
		awaitMetric(t, one, series, want)
	}
	for _, series := range []string{
		"millstream_store_free_bytes", `millstream_engine_group_seconds_count{class="long"}`,
		`millstream_engine_group_bytes_total{class="long"}`, `millstream_engine_group_rows_total{class="meta"}`,
		"millstream_kafka_open_connections",
	} {
		if v := metric(t, one, series); v <= 0 {
			t.Errorf("%s: %v", series, v)
		}
	}
	for series, want := range map[string]float64{
		"millstream_partition_log_end_offset" + where: -1, "millstream_kafka_opened_connections_total": 0,
		"millstream_member_topics": 0, "millstream_member_partitions": 1,
	} {
		awaitMetric(t, two, series, want)
	}
}

// Goal: a topic's series end with the topic. Method: make it, produce, delete it.
func TestMetricsOfADeletedTopic(t *testing.T) {
	m := startWatched(t, Config{HTTP: ":0"})
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	const series = `millstream_partition_proposed_batches_total{partition="0",topic="brief"}`
	for range 2 { // the second life of the name begins at zero
		if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "brief"}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Client().Produce(ctx, client.Record{Topic: "brief", Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		awaitMetric(t, m, series, 1)
		if err := m.Client().DeleteTopic(ctx, "brief"); err != nil {
			t.Fatal(err)
		}
		awaitMetric(t, m, series, -1)
	}
}

// held holds a replica up when it has got a leader.
type held struct {
	coreCopies
	began, free chan struct{}
}

func (h held) LeaderChanged(_ record.Epoch, leader record.ReplicaID, _ bool) {
	if leader != 0 {
		select {
		case h.began <- struct{}{}:
		default:
		}
		<-h.free
	}
}

// Goal: a member that starts is alive and not ready, and says how far it is; then it is ready. Method: hold
// the metadata replica up, ask, let it go.
func TestReadyAfterTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := held{coreCopies{new(copies)}, make(chan struct{}, 1), make(chan struct{})}
	started := make(chan *Member, 1)
	go func() {
		m, err := Start(context.Background(), Config{DataDir: t.TempDir(), HTTPListener: l, replicaObserver: h})
		if err != nil {
			t.Error(err)
		}
		started <- m
	}()
	<-h.began
	address := l.Addr().String()
	if code, body := ask(t, address, "/readyz"); code != 503 || body != "the member is starting: reading the metadata\n" {
		t.Errorf("ready before the start is over: %d %q", code, body)
	}
	if code, body := ask(t, address, "/healthz"); code != 200 {
		t.Errorf("not healthy while it starts: %d %q", code, body)
	}
	if code, body := ask(t, address, "/metrics"); code != 200 || !strings.Contains(body, "\nmillstream_member_ready 0\n") {
		t.Errorf("metrics while it starts: %d", code)
	}
	close(h.free)
	m := <-started
	if m == nil {
		return
	}
	if m.HTTPAddr() != address {
		t.Errorf("the address is %s, want %s", m.HTTPAddr(), address)
	}
	if code, body := ask(t, address, "/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("not ready after the start: %d %q", code, body)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the door is open after Close")
	}
}

// Goal: what is wrong is named: a partition that does not answer, a store that takes nothing more, a member
// that closes. Method: bring each about behind the member's back.
func TestReasonsAgainstReady(t *testing.T) {
	m := startWatched(t, Config{HTTP: ":0"})
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "lines", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	if code, body := ask(t, m.HTTPAddr(), "/readyz"); code != 200 {
		t.Fatalf("with a new topic: %d %q", code, body)
	}
	hosted := placement.ReplicasOf(m.table.Load(), m.id.member)
	<-m.system.Stop(replica.KindName, replica.Name(hosted[1].Replica))
	m.directory.here.Load().byID[hosted[1].Replica].view.Store(nil)
	code, body := ask(t, m.HTTPAddr(), "/readyz")
	if code != 503 || !strings.HasPrefix(body, "partition lines/1 does not answer: ") || strings.Count(body, "\n") != 1 {
		t.Errorf("without a replica: %d %q", code, body)
	}
	awaitMetric(t, m, "millstream_member_serving_partitions", 2)
	err := errors.New("input/output error")
	m.fenced.Store(&err)
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := ask(t, m.HTTPAddr(), path); code != 503 || !strings.Contains(body, "input/output error") {
			t.Errorf("%s with a fenced store: %d %q", path, code, body)
		}
	}
	awaitMetric(t, m, "millstream_store_fenced", 1)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(m.unready(ctx)); !strings.Contains(got, "the member is closing") {
		t.Errorf("after Close the reasons are %s", got)
	}
}

// Goal: the door obeys the rule of the doors, and an address that is taken is named. Method: foreign
// addresses with and without Insecure, a listener in the way.
func TestHTTPAddresses(t *testing.T) {
	for _, bad := range []string{"0.0.0.0:0", "192.0.2.1:80", "example.com:80", "8080"} {
		err := Config{HTTP: bad}.Validate()
		if err == nil || !strings.Contains(err.Error(), "cluster.Config.HTTP: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := (Config{HTTP: "0.0.0.0:0", Insecure: true}).Validate(); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Start(context.Background(), Config{DataDir: t.TempDir(), HTTP: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "open the HTTP door on "+l.Addr().String()) {
		t.Errorf("an address that is taken: %v", err)
	}
}

// Goal: a program that embeds a member and serves http.DefaultServeMux does not serve the member's insides.
// Method: ask that mux what it has. What the packages expvar and x/net/trace register, which libraries import, is
// not the member's; gRPC puts nothing into the latter, since tracing is off.
func TestDefaultServeMuxIsUntouched(t *testing.T) {
	if grpc.EnableTracing {
		t.Error("gRPC keeps traces of calls, which /debug/requests would show")
	}
	startWatched(t, Config{HTTP: ":0"})
	for _, path := range []string{
		"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile",
	} {
		r, err := http.NewRequest("GET", "http://localhost"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, pattern := http.DefaultServeMux.Handler(r); pattern != "" {
			t.Errorf("%s is served by %q", path, pattern)
		}
	}
}

// Goal: a program with an HTTP server of its own can serve the metrics without a door, also after Close.
// Method: ask the handler.
func TestMetricsHandler(t *testing.T) {
	m := startWatched(t, Config{})
	if m.HTTPAddr() != "" {
		t.Errorf("a door is open on %s", m.HTTPAddr())
	}
	for _, want := range []string{"\nmillstream_member_ready 1\n", "\nmillstream_member_ready 0\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := http.Server{Handler: m.MetricsHandler()}
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		if code, body := ask(t, l.Addr().String(), "/"); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, without %q", code, want)
		}
		s.Close()
		<-done
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
