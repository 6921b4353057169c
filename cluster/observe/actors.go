package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/actors"
)

// actorsMeter counts what the actor runtime does.
type actorsMeter struct {
	kinds   *bounded[string, kindMeter]
	waiting prometheus.Gauge
}

// kindMeter is one kind of actors.
type kindMeter struct {
	received, restarts, timeouts prometheus.Counter
	dropped                      [4]prometheus.Counter // by actors.Drop
}

var _ actors.Observer = (*actorsMeter)(nil)

// Actors is the observer of the member's actor runtime.
func (m *Metrics) Actors() actors.Observer { return m.actors }

func newActorsMeter(r *prometheus.Registry) *actorsMeter {
	received := counters(r, "millstream_actors_received_messages_total", "Messages handed to actors.", "kind")
	restarts := counters(r, "millstream_actors_restarts_total",
		"Crashes that were followed by another life.", "kind")
	timeouts := counters(r, "millstream_actors_ask_timeouts_total",
		"Questions that reached their deadline.", "kind")
	dropped := counters(r, "millstream_actors_dropped_messages_total",
		"Messages that reached nobody: absent, queued, stale or late.", "kind", "reason")
	return &actorsMeter{
		waiting: gauge(r, "millstream_actors_waiting_jobs", "Blocking jobs of actors that wait for a worker."),
		kinds: newBounded(maxKinds, func(kind string, other bool) *kindMeter {
			if other {
				kind = otherValue
			}
			k := &kindMeter{
				received: received.WithLabelValues(kind), restarts: restarts.WithLabelValues(kind),
				timeouts: timeouts.WithLabelValues(kind),
			}
			for why := range k.dropped {
				k.dropped[why] = dropped.WithLabelValues(kind, actors.Drop(why).String())
			}
			return k
		}),
	}
}

// Received implements actors.Observer.
func (a *actorsMeter) Received(kind string) { a.kinds.of(kind).received.Inc() }

// Dropped implements actors.Observer.
func (a *actorsMeter) Dropped(kind string, why actors.Drop, n int) {
	a.kinds.of(kind).dropped[why].Add(float64(n))
}

// Restarted implements actors.Observer.
func (a *actorsMeter) Restarted(kind string) { a.kinds.of(kind).restarts.Inc() }

// TimedOut implements actors.Observer.
func (a *actorsMeter) TimedOut(kind string) { a.kinds.of(kind).timeouts.Inc() }

// PoolWaiting implements actors.Observer.
func (a *actorsMeter) PoolWaiting(jobs int) { a.waiting.Set(float64(jobs)) }
