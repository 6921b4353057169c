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

const (
	binaryName = "binary, stripped"
	emptyName  = "empty directory"
	topic      = "log"
	valueBytes = 1024
)

func (c settings) fullName() string {
	return fmt.Sprintf("log of %d MB in %d partitions", c.megabytes, c.partitions)
}

// size takes the binary's.
func (c settings) size(out *measure.Results) error {
	info, err := os.Stat(c.binary)
	if err != nil {
		return err
	}
	out.Add(binaryName, 0, map[string]float64{"size_mb": float64(info.Size()) / (1 << 20)})
	return nil
}

// repetition starts a member on nothing, fills it, and starts it on what that has left after a kill.
func (c settings) repetition(out *measure.Results, n int) error {
	data, err := os.MkdirTemp(c.Dir, "footprint-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	if err := c.once(out, emptyName, data, n); err != nil {
		return err
	}
	if err := c.fill(data); err != nil {
		return err
	}
	return c.once(out, c.fullName(), data, n)
}

// once starts a member, leaves it alone, reads its memory and kills it.
func (c settings) once(out *measure.Results, subject, data string, n int) error {
	p, err := server.Start(server.Member(c.binary, data))
	if err != nil {
		return err
	}
	defer p.Kill()
	<-time.After(c.idle)
	anonymous, err1 := measure.AnonymousMemory(p.Pid())
	cpu, err2 := measure.CPU(p.Pid())
	<-time.After(c.idle)
	later, err3 := measure.CPU(p.Pid())
	out.Add(subject, n, map[string]float64{
		"ready_ms":         float64(p.Ready) / float64(time.Millisecond),
		"idle_anon_mb":     float64(anonymous) / (1 << 20),
		"idle_cpu_percent": 100 * (later - cpu).Seconds() / c.idle.Seconds(),
	})
	return errors.Join(err1, err2, err3)
}

// fill makes a topic, writes the log and kills the member.
func (c settings) fill(data string) error {
	p, err := server.Start(server.Member(c.binary, data))
	if err != nil {
		return err
	}
	defer p.Kill()
	ctx := context.Background()
	if err := kafkaload.Create(ctx, p.Kafka, topic, c.partitions, nil); err != nil {
		return err
	}
	w, err := kafkaload.NewWriter(p.Kafka, topic, c.partitions, valueBytes)
	if err != nil {
		return err
	}
	defer w.Client.Close()
	return w.Write(ctx, int64(c.megabytes)<<20/valueBytes)
}
