package observe

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/cluster/gateway/http"
)

// httpMeter counts what the HTTP door does.
type httpMeter struct {
	answers *prometheus.CounterVec
	routes  *bounded[string, routeMeter]
	refused prometheus.Counter
}

// routeMeter is one route of the door.
type routeMeter struct {
	name string
	took prometheus.Counter
}

var _ http.Observer = (*httpMeter)(nil)

// HTTP is the observer of the member's HTTP door.
func (m *Metrics) HTTP() http.Observer { return m.http }

func newHTTPMeter(r *prometheus.Registry) *httpMeter {
	took := counters(r, "millstream_http_answer_seconds_total", "Time spent on answers.", "route")
	return &httpMeter{
		answers: counters(r, "millstream_http_answers_total",
			"Answered requests, by HTTP status.", "route", "status"),
		refused: counter(r, "millstream_http_refused_connections_total",
			"Connections that were one too many."),
		routes: newBounded(maxRoutes, func(route string, other bool) *routeMeter {
			if other {
				route = otherValue
			}
			return &routeMeter{route, took.WithLabelValues(route)}
		}),
	}
}

// Answered implements http.Observer.
func (h *httpMeter) Answered(route string, status int, took time.Duration) {
	r := h.routes.of(route)
	r.took.Add(took.Seconds())
	h.answers.WithLabelValues(r.name, strconv.Itoa(status)).Inc()
}

// Refused implements http.Observer.
func (h *httpMeter) Refused() { h.refused.Inc() }
