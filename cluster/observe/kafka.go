package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/cluster/gateway/kafka"
)

// requestSeconds are the bounds of the time that a request took: from a record that is in memory to a wait
// for new ones.
var requestSeconds = []float64{
	0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
}

// apiNames are Kafka's names of its requests, by API key; the empty ones are between brokers, or have no name
// here.
var apiNames = [...]string{
	0: "produce", 1: "fetch", 2: "list_offsets", 3: "metadata",
	8: "offset_commit", 9: "offset_fetch", 10: "find_coordinator", 11: "join_group", 12: "heartbeat",
	13: "leave_group", 14: "sync_group", 15: "describe_groups", 16: "list_groups", 17: "sasl_handshake", 18: "api_versions",
	19: "create_topics", 20: "delete_topics", 21: "delete_records", 22: "init_producer_id",
	23: "offset_for_leader_epoch", 24: "add_partitions_to_txn", 25: "add_offsets_to_txn", 26: "end_txn",
	27: "write_txn_markers", 28: "txn_offset_commit", 29: "describe_acls", 30: "create_acls",
	31: "delete_acls", 32: "describe_configs", 33: "alter_configs", 34: "alter_replica_log_dirs", 35: "describe_log_dirs",
	36: "sasl_authenticate", 37: "create_partitions", 42: "delete_groups", 43: "elect_leaders",
	44: "incremental_alter_configs", 45: "alter_partition_reassignments", 46: "list_partition_reassignments",
	47: "offset_delete", 48: "describe_client_quotas", 49: "alter_client_quotas", 55: "describe_quorum",
	57: "update_features", 60: "describe_cluster", 61: "describe_producers", 65: "describe_transactions",
	66: "list_transactions", 68: "consumer_group_heartbeat", 69: "consumer_group_describe",
	75: "describe_topic_partitions",
}

// kafkaMeter counts what the Kafka door does.
type kafkaMeter struct {
	opened                                 prometheus.Counter
	open                                   prometheus.Gauge
	payload, copied, throttles, throttling prometheus.Counter
	closed                                 *prometheus.CounterVec
	apis                                   *bounded[int16, apiMeter]
}

// apiMeter is one kind of request.
type apiMeter struct {
	took     prometheus.Observer
	in, out  prometheus.Counter
	panicked prometheus.Counter
}

var _ kafka.Observer = (*kafkaMeter)(nil)

// Kafka is the observer of the member's Kafka door.
func (m *Metrics) Kafka() kafka.Observer { return m.kafka }

func newKafkaMeter(r *prometheus.Registry) *kafkaMeter {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "millstream_kafka_request_seconds", Help: "Time from a decoded request to its written answer.",
		Buckets: requestSeconds,
	}, []string{"api"})
	r.MustRegister(took)
	in := counters(r, "millstream_kafka_request_bytes_total", "Bytes of answered requests.", "api")
	out := counters(r, "millstream_kafka_answer_bytes_total", "Bytes of answers.", "api")
	panics := counters(r, "millstream_kafka_handler_panics_total", "Handlers that panicked.", "api")
	k := &kafkaMeter{
		opened:  counter(r, "millstream_kafka_opened_connections_total", "Connections that were taken."),
		open:    gauge(r, "millstream_kafka_open_connections", "Connections that are open."),
		payload: counter(r, "millstream_kafka_payload_bytes_total", "Bytes of records in produce requests."),
		copied: counter(r, "millstream_kafka_copied_bytes_total",
			"Payload bytes that were copied between the socket and the log entry."),
		throttles: counter(r, "millstream_kafka_throttles_total",
			"Times that a connection waited for byte credits."),
		throttling: counter(r, "millstream_kafka_throttled_seconds_total",
			"Time that connections waited for byte credits."),
		closed: counters(r, "millstream_kafka_closed_connections_total",
			"Connections that ended, by cause.", "cause"),
		apis: newBounded(len(apiNames), func(key int16, other bool) *apiMeter {
			name := apiName(key, other)
			return &apiMeter{
				took: took.WithLabelValues(name), in: in.WithLabelValues(name), out: out.WithLabelValues(name),
				panicked: panics.WithLabelValues(name),
			}
		}),
	}
	for _, c := range []kafka.Cause{
		kafka.CauseClient, kafka.CauseDrain, kafka.CauseMalformed, kafka.CauseTimeout, kafka.CausePanic,
		kafka.CauseRefused, kafka.CauseLimit,
	} {
		k.closed.WithLabelValues(string(c))
	}
	return k
}

func apiName(key int16, other bool) string {
	if other || key < 0 || int(key) >= len(apiNames) || apiNames[key] == "" {
		return otherValue
	}
	return apiNames[key]
}

// Opened implements kafka.Observer.
func (k *kafkaMeter) Opened() {
	k.opened.Inc()
	k.open.Inc()
}

// Closed implements kafka.Observer.
func (k *kafkaMeter) Closed(c kafka.Cause) {
	k.closed.WithLabelValues(string(c)).Inc()
	if c != kafka.CauseLimit {
		k.open.Dec()
	}
}

// Answered implements kafka.Observer.
func (k *kafkaMeter) Answered(key, _ int16, inBytes, outBytes int, took time.Duration) {
	a := k.apis.of(key)
	a.took.Observe(took.Seconds())
	a.in.Add(float64(inBytes))
	a.out.Add(float64(outBytes))
}

// Payload implements kafka.Observer.
func (k *kafkaMeter) Payload(bytes, copied int) {
	k.payload.Add(float64(bytes))
	k.copied.Add(float64(copied))
}

// Throttled implements kafka.Observer.
func (k *kafkaMeter) Throttled(took time.Duration) {
	k.throttles.Inc()
	k.throttling.Add(took.Seconds())
}

// Panicked implements kafka.Observer.
func (k *kafkaMeter) Panicked(key int16) { k.apis.of(key).panicked.Inc() }
