package task_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/task"
)

// In a random world input record i of a topic has the value "<topic>.<i>" and becomes the outputs "<value>/0"
// and "<value>/1". Which record meets which trouble follows from i.
const (
	badEvery   = 11 // fails in its function: the raw record becomes a dead letter
	largeEvery = 7  // its output 1 is too large for the topic: the output becomes a dead letter
	goneEvery  = 13 // its outputs go to a topic that does not exist, and become dead letters after a while
)

func number(value string) int {
	_, n, _ := strings.Cut(strings.TrimRight(strings.SplitN(value, "/", 2)[0], " "), ".")
	i, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	return i
}

func outputsOf(value string) []string {
	if number(value)%badEvery == 0 {
		return []string{value}
	}
	return []string{value + "/0", value + "/1"}
}

func troubled(b *topology.Builder) {
	in2 := topology.NewTopic("in2", serde.String, serde.String)
	check := func(_ context.Context, r topology.Record[string, string]) (iter.Seq[string], error) {
		if number(r.Value)%badEvery == 0 {
			return nil, errors.New("bad")
		}
		return slices.Values(outputsOf(r.Value)), nil
	}
	name := func(r topology.Record[string, string]) string {
		switch i := number(r.Value); {
		case i%goneEvery == 0:
			return "gone"
		default:
			return fmt.Sprint("out", i%3)
		}
	}
	topology.TryFlatMapValues(topology.From(b, in).Merge(topology.From(b, in2)), check).ToFunc(out, name)
}

func buildTroubled(t *testing.T) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder("app", topology.OnError(topology.DeadLetter.Always))
	troubled(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// simulation carries out the effects of a core in any order, and answers in any order.
type simulation struct {
	t         *testing.T
	rng       *rand.Rand
	topo      *topology.Topology
	core      *task.Core
	now       time.Time
	wake      time.Time
	jobs      []func()       // effects to carry out and answers to give
	inputs    map[string]int // number of records
	committed map[string]record.Offset
	acked     map[string]bool // output values, dead letters among them
	careless  bool            // negative control: forgets a batch now and then
	stopped   bool
	fault     error
}

func newSimulation(t *testing.T, seed uint64, topo *topology.Topology) *simulation {
	s := &simulation{
		t: t, rng: rand.New(rand.NewPCG(seed, 2)), topo: topo, now: time.UnixMilli(1_000_000),
		committed: map[string]record.Offset{}, acked: map[string]bool{},
	}
	s.inputs = map[string]int{"in": 1 + s.rng.IntN(60), "in2": s.rng.IntN(60)}
	return s
}

func (s *simulation) start() {
	s.jobs, s.wake, s.stopped = nil, time.Time{}, false
	core, err := task.New(task.Config{
		ID: task.ID{App: "app"}, Graph: s.topo.Graph(),
		MaxUnsentBytes: 1 + s.rng.IntN(2000), BatchBytes: 100 + s.rng.IntN(500), DescribeWait: time.Second,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.core = core
	s.step(task.Open{})
}

func (s *simulation) step(i task.Input) {
	e, err := s.core.Step(s.now, i)
	if err != nil {
		s.fault = err
		return
	}
	s.wake, s.stopped = e.Wake, s.stopped || e.Stopped
	if e.Commit != nil {
		s.checkCommit(e.Commit)
	}
	if !e.Wake.IsZero() && !e.Wake.After(s.now) && len(e.Send) == 0 { // a batch that can leave cuts a Step short
		s.fault = fmt.Errorf("wants to be woken %v ago: that would spin", s.now.Sub(e.Wake))
	}
	task.Carry(s, task.ID{}, e, func(a task.Input) { s.later(func() { s.step(a) }) })
}

// checkCommit is the property: what is committed has all its outputs acknowledged.
func (s *simulation) checkCommit(c *task.Commit) {
	for _, o := range c.Offsets {
		for i := range int(o.Next) {
			for _, v := range outputsOf(fmt.Sprintf("%s.%d", o.Topic, i)) {
				if !s.acked[v] {
					s.fault = fmt.Errorf("%s/%d is committed without %s", o.Topic, o.Next, v)
				}
			}
		}
	}
}

func (s *simulation) later(job func()) { s.jobs = append(s.jobs, job) }

// sometimes is a retryable error once in n times.
func (s *simulation) sometimes(n int) error {
	if s.rng.IntN(n) > 0 {
		return nil
	}
	return fault.New(fault.NotLeader, "the leader has moved")
}

// Locate implements task.Ports.
func (s *simulation) Locate(_ task.ID, l task.Locate, done func(task.Located)) {
	s.later(func() {
		if err := s.sometimes(4); err != nil {
			done(task.Located{Err: err})
			return
		}
		var a task.Located
		for _, topic := range l.Topics {
			p := task.Position{Topic: topic, Committed: task.NotCommitted, End: record.Offset(s.inputs[topic])}
			if c, ok := s.committed[topic]; ok {
				p.Committed = c
			}
			a.Positions = append(a.Positions, p)
		}
		done(a)
	})
}

// Describe implements task.Ports.
func (s *simulation) Describe(_ task.ID, d task.Describe, done func(task.Described)) {
	s.later(func() {
		err := s.sometimes(4)
		if d.Topic == "gone" {
			err = fault.New(fault.UnknownTopicOrPartition, "no such topic")
		}
		done(task.Described{Topic: d.Topic, Partitions: 1 + s.rng.IntN(3), Err: err})
	})
}

// Fetch implements task.Ports. It answers with up to three batches that may begin in front of the offset.
func (s *simulation) Fetch(_ task.ID, f task.Fetch, done func(task.Fetched)) {
	s.later(func() {
		if err := s.sometimes(5); err != nil {
			done(task.Fetched{Topic: f.Topic, Err: err})
			return
		}
		var bs [][]byte
		from, end := max(0, int(f.From)-s.rng.IntN(3)), s.inputs[f.Topic]
		for range s.rng.IntN(4) {
			to := min(end, from+1+s.rng.IntN(5))
			var values []string
			for i := from; i < to; i++ {
				values = append(values, fmt.Sprintf("%s.%d", f.Topic, i))
			}
			if len(values) > 0 {
				bs = append(bs, batch(s.t, record.Offset(from), values...))
			}
			from = to
		}
		done(task.Fetched{Topic: f.Topic, Batches: bs})
	})
}

// Fence implements task.Ports; the task has no stores.
func (s *simulation) Fence(task.ID, task.Fence, func(task.Fenced)) {
	s.t.Error("fence without a changelog")
}

// Trim implements task.Ports; the task reads no repartition topic.
func (s *simulation) Trim(task.ID, task.Trim) { s.t.Error("trim without a repartition topic") }

// Send implements task.Ports.
func (s *simulation) Send(_ task.ID, send task.Send, done func(task.Sent)) {
	s.later(func() {
		vs := values(s.t, send)
		tooBig := func(v string) bool { return strings.HasSuffix(v, "/1") && number(v)%largeEvery == 0 }
		if send.Topic != "app-dead-letter" && slices.ContainsFunc(vs, tooBig) {
			done(task.Sent{Seq: send.Seq, Err: fault.New(fault.RecordTooLarge, "too large")})
			return
		}
		if !s.careless || s.rng.IntN(20) > 0 {
			for _, v := range vs {
				s.acked[v] = true
			}
		}
		done(task.Sent{Seq: send.Seq})
	})
}

// Commit implements task.Ports.
func (s *simulation) Commit(_ task.ID, c task.Commit, done func(task.Committed)) {
	s.later(func() {
		err := s.sometimes(5)
		for _, o := range c.Offsets {
			if err == nil {
				s.committed[o.Topic] = o.Next
			}
		}
		done(task.Committed{Err: err})
	})
}

// turn lets one thing happen: a job, a tick, or a crash.
func (s *simulation) turn(crashes bool) {
	switch {
	case crashes && s.rng.IntN(60) == 0:
		_ = s.core.Close()
		s.start()
	case len(s.jobs) > 0 && s.rng.IntN(10) > 0:
		i := s.rng.IntN(len(s.jobs))
		job := s.jobs[i]
		s.jobs = slices.Delete(s.jobs, i, i+1)
		job()
	default:
		s.now = s.now.Add(time.Duration(s.rng.IntN(100)) * time.Millisecond)
		if !s.wake.IsZero() && !s.now.Before(s.wake) {
			s.step(task.Tick{})
		}
	}
}

func (s *simulation) done() bool {
	return int(s.committed["in"]) == s.inputs["in"] && int(s.committed["in2"]) == s.inputs["in2"]
}

func (s *simulation) run(crashes bool) error {
	const turns = 20_000
	s.start()
	n := 0
	for ; n < turns && s.fault == nil && !s.done(); n++ {
		s.turn(crashes && n < turns/4)
	}
	if s.fault == nil && s.done() {
		s.step(task.Stop{})
		for ; n < 2*turns && s.fault == nil && !s.stopped; n++ {
			s.turn(false)
		}
	}
	if s.fault == nil && (!s.done() || !s.stopped) {
		return fmt.Errorf("done %v, stopped %v after %d turns; committed %v of %v", s.done(), s.stopped, n,
			s.committed, s.inputs)
	}
	return s.fault
}

// Goal: nothing is committed before all its outputs, or their dead letters, are acknowledged, everything is
// committed in the end, and no Wake has passed already. Method: one core; effects are carried out and
// answered in random order, with retryable errors, bad and too large records, a missing topic, tight limits,
// and crashes in half of the seeds.
func TestRandomAnswers(t *testing.T) {
	topo := buildTroubled(t)
	const older = 3327 // an old dead letter joins a young batch: nothing in the others tells
	for seed := range uint64(301) {
		if seed == 300 {
			seed = older
		}
		if err := newSimulation(t, seed, topo).run(seed%2 == 0); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// Goal: the property of TestRandomAnswers finds lost outputs. Method: ports that acknowledge what they
// forget.
func TestRandomAnswersControl(t *testing.T) {
	topo := buildTroubled(t)
	found := 0
	for seed := range uint64(20) {
		s := newSimulation(t, seed, topo)
		s.careless = true
		if s.run(false) != nil {
			found++
		}
	}
	if found < 10 {
		t.Fatalf("only %d of 20 careless runs were found out", found)
	}
}
