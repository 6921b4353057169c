package observe

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
	"github.com/millstream-io/millstream/topology/task"
)

// subtopology is what tasks are counted by: all partitions of one sub-topology together, so that the number
// of series depends on programs, not on topics.
type subtopology struct {
	app string
	sub int
}

// tasksMeter counts what stream tasks do.
type tasksMeter struct {
	subs    *bounded[subtopology, subMeter]
	retried *prometheus.CounterVec
	skipped *prometheus.CounterVec
	whats   *bounded[string, string]
}

// subMeter is one sub-topology.
type subMeter struct {
	app, sub                      string // as labels
	steps, taken, written, resets prometheus.Counter
	late, restored, wiped         prometheus.Counter
	refused                       [plan.Decisions]prometheus.Counter // by kind of plan.Decision
}

func newTasksMeter(r *prometheus.Registry) *tasksMeter {
	labels := []string{"app", "subtopology"}
	steps := counters(r, "millstream_task_steps_total", "Steps that tasks took.", labels...)
	taken := counters(r, "millstream_task_taken_records_total", "Records taken from inputs.", labels...)
	written := counters(r, "millstream_task_written_records_total", "Records written to outputs.", labels...)
	resets := counters(r, "millstream_task_input_resets_total", "Input positions that were out of range.", labels...)
	refused := counters(r, "millstream_task_refused_records_total",
		"Records that user code or a codec refused, by what was decided.", append(labels, "decision")...)
	late := counters(r, "millstream_task_late_records_total",
		"Records that came after their window and its grace.", labels...)
	restored := counters(r, "millstream_task_restored_records_total",
		"Changelog records that stores were restored from.", labels...)
	wiped := counters(r, "millstream_task_state_wipes_total",
		"State databases that were given up and restored from their changelogs.", labels...)
	return &tasksMeter{
		skipped: counters(r, "millstream_task_skipped_records_total",
			"Records that an operator had no use for, by why.", append(labels, "why")...),
		retried: counters(r, "millstream_task_retries_total", "Calls that failed and were tried again.",
			append(labels, "call")...),
		whats: newBounded(maxWhats, func(what string, other bool) *string {
			if other {
				what = otherValue
			}
			return &what
		}),
		subs: newBounded(maxSubs, func(k subtopology, other bool) *subMeter {
			s := &subMeter{app: k.app, sub: strconv.Itoa(k.sub)}
			if other {
				s.app, s.sub = otherValue, ""
			}
			s.steps, s.taken = steps.WithLabelValues(s.app, s.sub), taken.WithLabelValues(s.app, s.sub)
			s.written, s.resets = written.WithLabelValues(s.app, s.sub), resets.WithLabelValues(s.app, s.sub)
			s.late = late.WithLabelValues(s.app, s.sub)
			s.restored, s.wiped = restored.WithLabelValues(s.app, s.sub), wiped.WithLabelValues(s.app, s.sub)
			for d := range s.refused {
				s.refused[d] = refused.WithLabelValues(s.app, s.sub, plan.Decision(d).String())
			}
			return s
		}),
	}
}

func (t *tasksMeter) of(id task.ID) *subMeter { return t.subs.of(subtopology{id.App, id.Sub}) }

// taskObserver counts and passes on.
type taskObserver struct {
	meter    *tasksMeter
	sub      *subMeter
	next     task.Observer
	restored map[string]int // records by store, as told last; Steps of a task do not overlap
}

var _ task.Observer = taskObserver{}

// Task is the observer of one task. next, when not nil, is told the same.
func (m *Metrics) Task(id task.ID, next task.Observer) task.Observer {
	return taskObserver{m.tasks, m.tasks.of(id), next, map[string]int{}}
}

// Stepped implements task.Observer.
func (o taskObserver) Stepped(id task.ID, taken, written int) {
	o.sub.steps.Inc()
	o.sub.taken.Add(float64(taken))
	o.sub.written.Add(float64(written))
	if o.next != nil {
		o.next.Stepped(id, taken, written)
	}
}

// Refused implements task.Observer.
func (o taskObserver) Refused(e *plan.RecordError, d plan.Decision) {
	o.sub.refused[min(int(d.Kind()), len(o.sub.refused)-1)].Inc()
	if o.next != nil {
		o.next.Refused(e, d)
	}
}

// Reset implements task.Observer.
func (o taskObserver) Reset(id task.ID, topic string, from, to record.Offset) {
	o.sub.resets.Inc()
	if o.next != nil {
		o.next.Reset(id, topic, from, to)
	}
}

// Retried implements task.Observer. what may end in a topic's name, which is no label: only its first word
// is.
func (o taskObserver) Retried(id task.ID, what string, err error) {
	call, _, _ := strings.Cut(what, " ")
	o.meter.retried.WithLabelValues(o.sub.app, o.sub.sub, *o.meter.whats.of(call)).Inc()
	if o.next != nil {
		o.next.Retried(id, what, err)
	}
}

// Late implements task.Observer.
func (o taskObserver) Late(id task.ID, n *plan.Node) {
	o.sub.late.Inc()
	if o.next != nil {
		o.next.Late(id, n)
	}
}

// Skipped implements task.Observer.
func (o taskObserver) Skipped(id task.ID, n *plan.Node, why string) {
	o.meter.skipped.WithLabelValues(o.sub.app, o.sub.sub, *o.meter.whats.of(why)).Inc()
	if o.next != nil {
		o.next.Skipped(id, n, why)
	}
}

// Restored implements task.Observer.
func (o taskObserver) Restored(id task.ID, r task.Restored) {
	o.sub.restored.Add(float64(max(0, r.Records-o.restored[r.Store])))
	o.restored[r.Store] = r.Records
	if o.next != nil {
		o.next.Restored(id, r)
	}
}

// Wiped implements task.Observer.
func (o taskObserver) Wiped(id task.ID, why error) {
	o.sub.wiped.Inc()
	if o.next != nil {
		o.next.Wiped(id, why)
	}
}

// Paused implements task.Observer.
func (o taskObserver) Paused(id task.ID, paused bool) {
	if o.next != nil {
		o.next.Paused(id, paused)
	}
}

// Running implements task.Observer.
func (o taskObserver) Running(id task.ID) {
	if o.next != nil {
		o.next.Running(id)
	}
}
