package observe

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/cluster/gateway/grpc"
)

// grpcMeter counts what the gRPC door does.
type grpcMeter struct {
	opened, refused, closed prometheus.Counter
	open                    prometheus.Gauge
	produced, fetched       prometheus.Counter
	throttles, throttling   prometheus.Counter
	methods                 *bounded[string, methodMeter]
	ended                   *prometheus.CounterVec
}

// methodMeter is one method.
type methodMeter struct {
	name     string
	open     prometheus.Gauge
	took     prometheus.Observer
	panicked prometheus.Counter
	stuck    prometheus.Counter
}

var _ grpc.Observer = (*grpcMeter)(nil)

// GRPC is the observer of the member's gRPC door.
func (m *Metrics) GRPC() grpc.Observer { return m.grpc }

func newGRPCMeter(r *prometheus.Registry) *grpcMeter {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "millstream_grpc_call_seconds", Help: "Time from the begin of a call or stream to its end.",
		Buckets: requestSeconds,
	}, []string{"api"})
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "millstream_grpc_open_calls", Help: "Calls and streams that are open.",
	}, []string{"api"})
	r.MustRegister(took, open)
	stuck := counters(r, "millstream_grpc_stuck_calls_total",
		"Streams that were ended because their client took nothing.", "api")
	panics := counters(r, "millstream_grpc_handler_panics_total", "Handlers that panicked.", "api")
	return &grpcMeter{
		opened:    counter(r, "millstream_grpc_opened_connections_total", "Connections that were taken."),
		closed:    counter(r, "millstream_grpc_closed_connections_total", "Connections that ended."),
		refused:   counter(r, "millstream_grpc_refused_connections_total", "Connections that were one too many."),
		open:      gauge(r, "millstream_grpc_open_connections", "Connections that are open."),
		produced:  counter(r, "millstream_grpc_produced_bytes_total", "Bytes of batches in produce requests."),
		fetched:   counter(r, "millstream_grpc_fetched_bytes_total", "Bytes of batches that were read, as stored."),
		throttles: counter(r, "millstream_grpc_throttles_total", "Times that a stream waited for the member's byte budget."),
		throttling: counter(r, "millstream_grpc_throttled_seconds_total",
			"Time that streams waited for the member's byte budget."),
		ended: counters(r, "millstream_grpc_ended_calls_total", "Calls and streams that ended, by status.", "api", "status"),
		methods: newBounded(maxMethods, func(method string, other bool) *methodMeter {
			name := method[strings.LastIndexByte(method, '.')+1:]
			if other {
				name = otherValue
			}
			return &methodMeter{
				name, open.WithLabelValues(name), took.WithLabelValues(name), panics.WithLabelValues(name),
				stuck.WithLabelValues(name),
			}
		}),
	}
}

// Opened implements grpc.Observer.
func (g *grpcMeter) Opened() {
	g.opened.Inc()
	g.open.Inc()
}

// Closed implements grpc.Observer.
func (g *grpcMeter) Closed() {
	g.closed.Inc()
	g.open.Dec()
}

// Refused implements grpc.Observer.
func (g *grpcMeter) Refused() { g.refused.Inc() }

// Began implements grpc.Observer.
func (g *grpcMeter) Began(method string) { g.methods.of(method).open.Inc() }

// Ended implements grpc.Observer.
func (g *grpcMeter) Ended(method, status string, took time.Duration) {
	m := g.methods.of(method)
	m.open.Dec()
	m.took.Observe(took.Seconds())
	g.ended.WithLabelValues(m.name, status).Inc()
}

// Produced implements grpc.Observer.
func (g *grpcMeter) Produced(bytes int) { g.produced.Add(float64(bytes)) }

// Fetched implements grpc.Observer.
func (g *grpcMeter) Fetched(bytes int) { g.fetched.Add(float64(bytes)) }

// Throttled implements grpc.Observer.
func (g *grpcMeter) Throttled(took time.Duration) {
	g.throttles.Inc()
	g.throttling.Add(took.Seconds())
}

// Stuck implements grpc.Observer.
func (g *grpcMeter) Stuck(method string) { g.methods.of(method).stuck.Inc() }

// Panicked implements grpc.Observer.
func (g *grpcMeter) Panicked(method string) { g.methods.of(method).panicked.Inc() }
