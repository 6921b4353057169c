package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/kafkaload"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

func idleName(partitions int) string { return fmt.Sprintf("idle/partitions=%d", partitions) }

// idlers compares a member that has many partitions with one that has one.
func (c settings) idlers(out *measure.Results) error {
	for n := range c.Repetitions {
		counts := []int{1, c.many}
		for i := range counts {
			if err := c.idler(out, n, counts[(i+n)%2]); err != nil {
				return err
			}
		}
	}
	return nil
}

// idler makes a topic, writes one record to each of its partitions, starts the member again and leaves it
// alone.
func (c settings) idler(out *measure.Results, n, partitions int) error {
	data, err := os.MkdirTemp(c.Dir, "restart-idle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	s := &starter{settings: c, data: data}
	s.partitions, s.megabytes, s.value = partitions, 0, 100
	err = s.run(func(p *server.Process) error {
		if err := kafkaload.Create(context.Background(), p.Kafka, topic, partitions, nil); err != nil {
			return err
		}
		w, err := kafkaload.NewWriter(p.Kafka, topic, partitions, s.value)
		if err != nil {
			return err
		}
		defer w.Client.Close()
		return w.Write(context.Background(), int64(partitions))
	})
	if err != nil {
		return err
	}
	return s.run(func(p *server.Process) error {
		<-time.After(c.idle / 2)
		cpu, err1 := measure.CPU(p.Pid())
		begin := time.Now()
		<-time.After(c.idle)
		cpuEnd, err2 := measure.CPU(p.Pid())
		took := time.Since(begin)
		anonymous, err3 := measure.AnonymousMemory(p.Pid())
		out.Add(idleName(partitions), n, map[string]float64{
			"anon_mb": float64(anonymous) / (1 << 20), "ready_ms": milliseconds(p.Ready),
			"cpu_percent": 100 * (cpuEnd - cpu).Seconds() / took.Seconds(),
			"cpu_s_in_10": (cpuEnd - cpu).Seconds() / took.Seconds() * 10,
		})
		return errors.Join(err1, err2, err3)
	})
}

// conclude prints what one partition and one bucket cost.
func (c settings) conclude(out *measure.Results) {
	one, many := out.MedianOf(idleName(1), "anon_mb"), out.MedianOf(idleName(c.many), "anon_mb")
	out.Note("an idle partition: (%.1f − %.1f) MB / %d = %.1f KB (has to be ≤ 50)",
		many, one, c.many-1, (many-one)*1024/float64(c.many-1))
	out.Bar("cpu_s_in_10", idleName(c.many), "")
	few, all := bucketsName(0), bucketsName(c.buckets)
	for _, figure := range []string{"anon_mb", "anon_live_mb", "goroutines"} {
		bar := map[string]string{"anon_mb": " (has to be ≤ 30)"}[figure]
		a, b := out.MedianOf(few, figure), out.MedianOf(all, figure)
		count := out.MedianOf(all, "sealed_buckets")
		out.Note("%.0f sealed buckets, %s: %.1f − %.1f = %.1f%s, %.3f each",
			count, figure, b, a, b-a, bar, (b-a)/count)
	}
}
