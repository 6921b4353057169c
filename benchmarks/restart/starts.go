package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/millstream-io/millstream/benchmarks/kafkaload"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/raw"
	"github.com/millstream-io/millstream/benchmarks/server"
)

const (
	emptyName      = "start/empty directory"
	killedName     = "start/after kill -9"
	killedColdName = "start/after kill -9, cold cache"
	stoppedName    = "start/after a clean stop"

	topic = "log"
)

// binaries builds the member, unless somebody has named one.
func (c *settings) binaries() (remove func(), err error) {
	if c.binary != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "restart-bin-")
	if err != nil {
		return nil, err
	}
	c.binary, err = server.Build(dir, "./cmd/millstream")
	if err == nil {
		c.self, err = os.Executable()
	}
	return func() { _ = os.RemoveAll(dir) }, err
}

// starts fills a log once and starts a member on it in every way, c.Repetitions times.
func (c settings) starts(out *measure.Results) error {
	dir, err := os.MkdirTemp(c.Dir, "restart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := &starter{settings: c, out: out, data: filepath.Join(dir, "full")}
	if err := w.run(w.fill); err != nil {
		return err
	}
	out.Note("%d records of %d bytes in %d partitions", w.acked, c.value, c.partitions)
	for n := range c.Repetitions {
		if err := errors.Join(c.startEmpty(out, n, dir), w.killed(n), w.stopped(n)); err != nil {
			return err
		}
	}
	return nil
}

// startEmpty is the least that a start costs, beside what the disk needs for one small durable write.
func (c settings) startEmpty(out *measure.Results, n int, dir string) error {
	data := filepath.Join(dir, "empty")
	p, err := server.Start(server.Member(c.binary, data))
	if err != nil {
		return err
	}
	p.Kill()
	took, err := raw.Append(filepath.Join(dir, "raw"), 4<<10, 200, uint64(n))
	out.Add(emptyName, n, map[string]float64{
		"ready_ms": milliseconds(p.Ready), "raw_4k_fdatasync_p50_ms": measure.Quantile(took, 0.5),
	})
	return errors.Join(err, os.RemoveAll(data))
}

// starter has the log that members are started on.
type starter struct {
	settings
	out   *measure.Results
	data  string
	acked int64
}

func (s *starter) member() []string { return server.Member(s.binary, s.data) }

// run starts a member for use, and stops it in good order.
func (s *starter) run(use func(*server.Process) error) error {
	p, err := server.Start(s.member())
	if err != nil {
		return err
	}
	return errors.Join(use(p), p.Stop())
}

func (s *starter) fill(p *server.Process) error {
	ctx := context.Background()
	if err := kafkaload.Create(ctx, p.Kafka, topic, s.partitions, nil); err != nil {
		return err
	}
	w, err := kafkaload.NewWriter(p.Kafka, topic, s.partitions, s.value)
	if err != nil {
		return err
	}
	defer w.Client.Close()
	err = w.Write(ctx, int64(s.megabytes)<<20/int64(s.value))
	s.acked += w.Produced()
	return err
}

// killed kills a member that is being written to, and starts it again: with what it wrote in the page cache,
// as after a crash of the process, and without, as after one of the machine.
func (s *starter) killed(n int) error {
	if err := s.kill(); err != nil {
		return err
	}
	if err := s.start(killedName, n); err != nil {
		return err
	}
	if err := s.kill(); err != nil {
		return err
	}
	if _, err := measure.Cool(s.data, s.everything); err != nil {
		return err
	}
	return s.start(killedColdName, n)
}

// kill writes to a member for a while and kills it in the middle.
func (s *starter) kill() error {
	p, err := server.Start(s.member())
	if err != nil {
		return err
	}
	w, err := kafkaload.NewWriter(p.Kafka, topic, s.partitions, s.value)
	if err != nil {
		p.Kill()
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*s.load)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Write(ctx, 1<<62) // that it fails is what happens to the clients of one that is killed
	}()
	<-time.After(s.load)
	p.Kill()
	w.Client.Close()
	<-ended
	s.acked += w.Produced()
	return nil
}

func (s *starter) stopped(n int) error {
	err := s.run(func(*server.Process) error { return nil })
	if err != nil {
		return err
	}
	return s.start(stoppedName, n)
}

// start measures one start, and that nothing that was acknowledged is missing after it.
func (s *starter) start(name string, n int) error {
	return s.run(func(p *server.Process) error {
		begin := time.Now()
		w, err := kafkaload.NewWriter(p.Kafka, topic, s.partitions, s.value)
		if err != nil {
			return err
		}
		defer w.Client.Close()
		err = w.Write(context.Background(), 1)
		acked := time.Since(begin)
		s.acked += w.Produced()
		io, err1 := measure.ProcessIO(p.Pid())
		cpu, err2 := measure.CPU(p.Pid())
		anonymous, err3 := measure.AnonymousMemory(p.Pid())
		ends, err4 := kafkaload.Ends(context.Background(), p.Kafka, topic)
		figures := map[string]float64{
			"ready_ms": milliseconds(p.Ready), "first_ack_ms": milliseconds(p.Ready + acked),
			"read_mb": float64(io.Read) / (1 << 20), "cpu_s": cpu.Seconds(),
			"anon_mb": float64(anonymous) / (1 << 20),
		}
		if err4 == nil && ends < s.acked {
			figures["INVALID"] = 1
			s.out.Note("INVALID %s: %d records were acknowledged, %d are there", name, s.acked, ends)
		}
		s.out.Add(name, n, figures)
		return errors.Join(err, err1, err2, err3, err4)
	})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
