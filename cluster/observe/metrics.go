package observe

import (
	"fmt"
	"log/slog"
	nethttp "net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The limits of label sets.
const (
	// DefaultMaxPartitions is how many partitions have series of their own: about twelve each.
	DefaultMaxPartitions = 2000

	maxKinds   = 64  // actor kinds
	maxReasons = 64  // why an input of a replica was dropped
	maxApps    = 256 // with state, or asked for it
	maxSubs    = 256 // sub-topologies, over all applications
	maxWhats   = 16  // what a task tries again
	maxRoutes  = 32  // of the HTTP door
	maxMethods = 64  // of the gRPC door

	maxScrapes = 4 // answered at the same time
)

// Options configure the metrics of a member. The zero value is useful.
type Options struct {
	// Snapshot tells what is so now. It is called at every scrape, from any goroutine, and must not block for
	// long. Nil leaves its metrics out.
	Snapshot func() Snapshot
	// MaxPartitions bounds the partitions with series of their own; those that come later are summed under
	// the topic "(other)". 0 means DefaultMaxPartitions.
	MaxPartitions int
	// Logger hears of scrapes that went wrong. Nil drops that.
	Logger *slog.Logger
}

// Metrics are the metrics of one member. It is safe for concurrent use. Its methods return what the other
// packages want to be observed by.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger

	actors     *actorsMeter
	engine     *engineMeter
	kafka      *kafkaMeter
	grpc       *grpcMeter
	http       *httpMeter
	partitions *partitionMeters
	tasks      *tasksMeter
	state      *stateMeter
}

// New makes the metrics of a member, all at zero.
func New(o Options) *Metrics {
	if o.MaxPartitions <= 0 {
		o.MaxPartitions = DefaultMaxPartitions
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := prometheus.NewRegistry()
	m := &Metrics{
		registry: r, log: o.Logger,
		actors: newActorsMeter(r), engine: newEngineMeter(r), kafka: newKafkaMeter(r), http: newHTTPMeter(r),
		grpc:       newGRPCMeter(r),
		tasks:      newTasksMeter(r),
		state:      newStateMeter(r),
		partitions: newPartitionMeters(r, o.MaxPartitions),
	}
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(),
	)
	if o.Snapshot != nil {
		r.MustRegister(&snapshotCollector{ask: o.Snapshot, partitions: m.partitions, state: m.state})
	}
	return m
}

// Handler answers scrapes. A metric that cannot be told is logged and left out; the others are told.
func (m *Metrics) Handler() nethttp.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{m.log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
	})
}

// scrapeLog is what promhttp complains to.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Warn("scrape incomplete", "err", fmt.Sprint(v...)) }

// counters registers counters that differ in labels.
func counters(r *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(v)
	return v
}

func counter(r *prometheus.Registry, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	r.MustRegister(c)
	return c
}

func gauge(r *prometheus.Registry, name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	r.MustRegister(g)
	return g
}
