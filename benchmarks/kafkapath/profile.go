package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cluster"
)

// profileProduce runs a member in this process under the 1 KB load of eight producers and writes its
// processor profile. The client's share is in it too: read the server's packages.
func profileProduce(path string) error {
	measure.Touch(*touch)
	data, err := os.MkdirTemp(*dir, "kafkapath-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	m, err := cluster.Start(context.Background(), cluster.Config{
		DataDir: data, Kafka: "127.0.0.1:0", AutoCreateTopics: true,
	})
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	run := &produceRun{
		load: loads[1], address: m.KafkaAddr(), seconds: time.Duration(*seconds) * time.Second, pid: os.Getpid(),
	}
	figures, err := run.produce()
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	fmt.Printf("# %.0f records/s while profiled\n", figures["rate_per_s"])
	if err := f.Close(); err != nil {
		return err
	}
	return m.Close()
}
