package main

import (
	"context"
	"errors"
	"time"

	"github.com/millstream-io/millstream/benchmarks/load"
	"github.com/millstream-io/millstream/benchmarks/measure"
)

const (
	throughTopic = "end to end/through a topic"
	throughState = "end to end/through a stateful topology"
	flowBytes    = 100
)

// endToEnd writes at a rate, durably, and reads beside: the same topic, or what a topology makes of it that changes a
// row for every record.
func (c settings) endToEnd(dir string, out *measure.Results, n int) error {
	m, err := startMember(dir)
	if err != nil {
		return err
	}
	x := newModifier("flow", true)
	x.probe.Store(true)
	err = m.create(1, "plain", x.app+"-changes", x.app+"-probes")
	subjects := []struct{ name, from, to string }{
		{throughTopic, "plain", "plain"}, {throughState, x.app + "-changes", x.app + "-probes"},
	}
	for i := range subjects {
		if err != nil {
			break
		}
		s := subjects[(i+n)%len(subjects)]
		run := func() error { return c.flowOnce(m, s.name, s.from, s.to, out, n) }
		if s.from == s.to {
			err = run()
			continue
		}
		var a app
		if a, err = m.run(x.builder()); err == nil {
			err = errors.Join(run(), a.stop())
		}
	}
	return errors.Join(err, m.Close())
}

func (c settings) flowOnce(m member, name, from, to string, out *measure.Results, n int) error {
	ctx := context.Background()
	door := load.Kafka{Brokers: []string{m.KafkaAddr()}}
	writer, err := door.Writer(ctx, from)
	if err != nil {
		return err
	}
	defer writer.Close()
	reader, err := door.Reader(ctx, to)
	if err != nil {
		return err
	}
	defer reader.Close()
	w := &load.Writing{
		Writers: []load.Writer{writer}, ValueBytes: flowBytes, InFlight: 20_000, Rate: c.rate,
		WarmUp: c.flow / 5, For: c.flow,
	}
	_, took, err := load.EndToEnd(ctx, w, reader, true, 30*time.Second)
	if err != nil {
		return errors.New("INVALID: " + err.Error())
	}
	out.Add(name, n, map[string]float64{
		"p50_ms": ms(took.Percentile(50)), "p99_ms": ms(took.Percentile(99)), "p999_ms": ms(took.Percentile(99.9)),
	})
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
