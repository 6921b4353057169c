package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
)

// patience bounds every wait.
const patience = 10 * time.Minute

// member is one that runs in this process.
type member struct{ *cluster.Member }

func startMember(dir string) (member, error) {
	m, err := cluster.Start(context.Background(), cluster.Config{DataDir: dir, Kafka: "127.0.0.1:0"})
	return member{m}, err
}

func (m member) create(partitions int, topics ...string) error {
	for _, name := range topics {
		_, err := m.Client().CreateTopic(context.Background(), client.NewTopic{Name: name, Partitions: partitions})
		if err != nil {
			return err
		}
	}
	return nil
}

// produce writes n records, made one after the other, and waits until all are acknowledged.
func (m member) produce(n int, next func(i int) client.Record) error {
	ctx := context.Background()
	var once sync.Once
	var failed error
	for i := range n {
		m.Client().ProduceAsync(ctx, next(i), func(d client.Delivery) {
			if d.Err != nil {
				once.Do(func() { failed = d.Err })
			}
		})
	}
	return errors.Join(m.Client().Flush(ctx), failed)
}

// ends is how many records a topic has had.
func (m member) ends(topic string) (n record.Offset, err error) {
	ctx := context.Background()
	t, err := m.Client().Topic(ctx, topic)
	if err != nil {
		return 0, err
	}
	for p := range t.Partitions {
		a, err := m.Client().Offsets(ctx, client.OffsetQuery{
			Topic: topic, Partition: record.Partition(p), TimestampMs: client.TimestampLatest,
		})
		if err = errors.Join(err, a[0].Err); err != nil {
			return 0, err
		}
		n += a[0].Offset
	}
	return n, nil
}

// app is a topology that runs.
type app struct {
	stop func() error // after what was read is done and committed
	over func() error // why it has ended by itself, nil while it runs
}

func (m member) run(b *topology.Builder) (app, error) {
	topo, err := b.Build()
	if err != nil {
		return app{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var runErr error
	go func() {
		runErr = m.Run(ctx, topo)
		close(ended)
	}()
	stop := func() error {
		cancel()
		<-ended
		return runErr
	}
	return app{stop: stop, over: func() error {
		select {
		case <-ended:
			return fmt.Errorf("the topology has ended: %w", runErr)
		default:
			return nil
		}
	}}, nil
}

// await looks again and again until there is what is waited for.
func (a app) await(there func() (bool, error)) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		ok, err := there()
		if err = errors.Join(err, a.over()); err != nil || ok {
			return err
		}
		if time.Since(begin) > patience {
			return fmt.Errorf("waited %s", patience)
		}
	}
}

// watch is a stretch of time and of this process's processor time.
type watch struct {
	begin time.Time
	cpu   time.Duration
}

func startWatch() (watch, error) {
	cpu, err := measure.CPU(os.Getpid())
	return watch{time.Now(), cpu}, err
}

// figures are a rate, and what one of n cost.
func (w watch) figures(n int, each string) (map[string]float64, error) {
	took := time.Since(w.begin).Seconds()
	cpu, err := measure.CPU(os.Getpid())
	return map[string]float64{
		each + "s_per_s": float64(n) / took, "cpu_us_per_" + each: float64((cpu - w.cpu).Microseconds()) / float64(n),
	}, err
}
