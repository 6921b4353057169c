package topology_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

type stringContext = topology.ProcessorContext[string, string]

// scripted is a processor made of functions.
type scripted struct {
	init    func(*stringContext) error
	process func(*stringContext, texts) error
	close   func() error
}

func (s *scripted) Init(c *stringContext) error {
	if s.init == nil {
		return nil
	}
	return s.init(c)
}

func (s *scripted) Process(c *stringContext, r texts) error {
	if s.process == nil {
		return nil
	}
	return s.process(c, r)
}

func (s *scripted) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

func processed(create func() *scripted, opts ...topology.Option) func(*topology.Builder) {
	return func(b *topology.Builder) {
		topology.Process(topology.From(b, Lines), func() topology.Processor[string, string, string, string] {
			return create()
		}, opts...).To(Upper)
	}
}

// Goal: a processor lives once per task, from Init to Close, and may keep records and forward them later with
// what they carry. Method: one that buffers until it is closed by a stream-time punctuation.
func TestProcessorLife(t *testing.T) {
	var events []string
	create := func() *scripted {
		var kept []texts
		s := &scripted{}
		s.init = func(c *stringContext) error {
			events = append(events, "init "+c.Task())
			c.Schedule(time.Second, topology.StreamTime, func(now time.Time) error {
				for _, r := range kept {
					c.Forward(r)
				}
				kept = nil
				return nil
			})
			return nil
		}
		s.process = func(_ *stringContext, r texts) error {
			kept = append(kept, r)
			return nil
		}
		s.close = func() error {
			events = append(events, "close")
			return nil
		}
		return s
	}
	d := drive(t, processed(create), topologytest.Partitions(2))
	at := d.Now()
	record := func(v string, after time.Duration) texts {
		return texts{Key: "k", Value: v, Meta: topology.Meta{Time: at.Add(after)}.WithHeader("h", []byte(v))}
	}
	topologytest.SendRecord(d, Lines, record("a", 0))
	topologytest.SendRecord(d, Lines, record("b", 999*time.Millisecond))
	topologytest.ExpectNone(d, Upper)
	topologytest.SendRecord(d, Lines, record("c", time.Second))
	got := topologytest.Read(d, Upper)
	if len(got) != 3 || got[1].Value != "b" || string(got[1].Headers[0].Value) != "b" || !got[0].Time.Equal(at) {
		t.Fatalf("forwarded %+v", got)
	}
	d.Stop()
	if want := []string{"init app/0_0", "init app/0_1", "close", "close"}; !slices.Equal(events, want) {
		t.Errorf("events %v, expected %v", events, want)
	}
}

// Goal: wall-clock schedules run on the driver's clock, skip what was missed, and end when they are
// cancelled. Method: three seconds in steps, with a cancel in between; the records have no time of their own.
func TestWallClockSchedule(t *testing.T) {
	var cancel func()
	create := func() *scripted {
		return &scripted{init: func(c *stringContext) error {
			cancel = c.Schedule(time.Second, topology.WallClockTime, func(now time.Time) error {
				c.Forward(texts{Key: "tick", Value: fmt.Sprint(now.Equal(c.Now()))})
				return nil
			})
			return nil
		}}
	}
	d := drive(t, processed(create))
	d.Advance(2500 * time.Millisecond)
	got := topologytest.Read(d, Upper)
	if len(got) != 2 || got[0].Value != "true" || got[1].Time.Sub(got[0].Time) != time.Second {
		t.Fatalf("ticks %+v", got)
	}
	cancel()
	d.Advance(10 * time.Second)
	topologytest.ExpectNone(d, Upper)
}

// Goal: stream time is the highest event time of the task, and a schedule does not make up for missed turns.
// Method: a jump, an old record, and the turn behind.
func TestStreamTimeSchedule(t *testing.T) {
	create := func() *scripted {
		return &scripted{init: func(c *stringContext) error {
			c.Schedule(10*time.Second, topology.StreamTime, func(now time.Time) error {
				c.Forward(texts{Key: "tick", Value: fmt.Sprint(now.Unix())})
				return nil
			})
			return nil
		}}
	}
	d := drive(t, processed(create))
	for _, sec := range []int64{100, 109, 145, 20, 149, 150} {
		topologytest.SendRecord(d, Lines, texts{Key: "k", Meta: topology.Meta{Time: time.Unix(sec, 0)}})
	}
	topologytest.Expect(d, Upper, p("tick", "145", "tick", "150")...)
}

// Goal: what fails in a processor goes to its node's policy; what fails behind it stops it. Method: an error
// of Process, of Init, of a punctuation, of the sink, and of Close.
func TestProcessorErrors(t *testing.T) {
	bad := errors.New("bad")
	forward := func(c *stringContext, r texts) error {
		c.Forward(r)
		c.Forward(r)
		return nil
	}
	encodeFails := topology.NewTopic("out", serde.String, serde.Serde[string](failingSerde{serde.String}))
	for name, c := range map[string]struct {
		create func() *scripted
		opts   []topology.Option
		stage  topology.Stage
		node   string
	}{
		"process": {func() *scripted {
			return &scripted{process: func(*stringContext, texts) error { return bad }}
		}, nil, topology.StageProcess, "process-1"},
		"init": {func() *scripted { return &scripted{init: func(*stringContext) error { return bad }} },
			[]topology.Option{topology.OnError(topology.Skip.Always)}, topology.StageProcess, "process-1"},
		"punctuation": {func() *scripted {
			return &scripted{init: func(c *stringContext) error {
				c.Schedule(time.Second, topology.WallClockTime, func(time.Time) error { return bad })
				return nil
			}}
		}, []topology.Option{topology.OnError(topology.DeadLetter.Always)}, topology.StageProcess, "process-1"},
		"behind": {func() *scripted { return &scripted{process: forward} },
			[]topology.Option{topology.OnError(topology.Skip.Always)}, topology.StageEncode, "sink-2"},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, func(b *topology.Builder) {
				topology.Process(topology.From(b, Lines), func() topology.Processor[string, string, string, string] {
					return c.create()
				}, c.opts...).To(encodeFails)
			})
			if name != "init" {
				topologytest.Send(d, Lines, "k", "v")
			}
			d.Advance(time.Second)
			var failed *topology.RecordError
			if err := d.Failed(); !errors.As(err, &failed) || failed.Stage != c.stage || failed.Node.Name != c.node {
				t.Fatalf("error %v", err)
			}
		})
	}
}

type failingSerde struct{ serde.Serde[string] }

func (failingSerde) Append(dst []byte, _ serde.Info, _ string) ([]byte, error) {
	return dst, errors.New("no")
}

// Goal: a record that is forwarded while the processor closes is reported, not lost in silence. Method: just
// that.
func TestForwardInClose(t *testing.T) {
	create := func() *scripted {
		s := &scripted{}
		s.init = func(c *stringContext) error {
			s.close = func() error {
				c.Forward(texts{Value: "too late"})
				return nil
			}
			return nil
		}
		return s
	}
	d := drive(t, processed(create))
	d.Stop()
	if err := d.Failed(); err == nil {
		t.Fatal("no error")
	}
	topologytest.ExpectNone(d, Upper)
}

// Goal: headers of branches do not mix. Method: two branches add to the same list.
func TestWithHeader(t *testing.T) {
	m := topology.Meta{Headers: make([]record.Header, 0, 8)}
	a, b := m.WithHeader("a", nil), m.WithHeader("b", nil)
	if a.Headers[0].Key != "a" || b.Headers[0].Key != "b" || len(m.Headers) != 0 {
		t.Fatalf("%v %v %v", a.Headers, b.Headers, m.Headers)
	}
}
