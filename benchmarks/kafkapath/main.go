package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

var (
	dir         = flag.String("dir", os.TempDir(), "directory on the device to measure")
	repetitions = flag.Int("n", 5, "repetitions")
	seconds     = flag.Int("seconds", 5, "measured seconds of each load")
	touch       = flag.Int("touch", 1<<30, "bytes of memory touched first")
	profile     = flag.String("profile", "", "write a processor profile of an in-process member under produce load to FILE and end")
)

// load is one way to drive a server.
type load struct {
	name      string
	producers int
	size      int // bytes of a value
	oneByOne  bool
}

var loads = []load{
	{"produce/1x1/1KB", 1, 1000, false},
	{"produce/8x8/1KB", 8, 1000, false},
	{"produce/1x1/100B", 1, 100, false},
	{"publish/one-at-a-time/100B", 1, 100, true},
}

func main() {
	flag.Parse()
	err := run()
	if *profile != "" {
		err = profileProduce(*profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kafkapath:", err)
		os.Exit(1)
	}
}

func run() error {
	if *profile != "" {
		return nil
	}
	bin, err := os.MkdirTemp("", "kafkapath-bin-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	for _, pkg := range []string{"./cmd/millstream", "./benchmarks/peers/kfakeserver"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, filepath.Base(pkg)), pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	out := measure.NewResults(os.Stdout, "Kafka door beside kfake SyncWrites, fsync before acknowledge", *dir)
	measure.Touch(*touch)
	subjects := []subject{
		{"millstream", []string{filepath.Join(bin, "millstream"), "server", "--kafka-listen", "127.0.0.1:0", "--http-listen=",
			"--log-level", "info", "--topics-auto-create", "--data"}},
		{"kfake-sync", []string{filepath.Join(bin, "kfakeserver")}},
	}
	for n := range *repetitions {
		for _, l := range loads {
			for i := range subjects {
				s := subjects[(i+n)%len(subjects)]
				if err := s.measure(out, l, n); err != nil {
					return fmt.Errorf("%s %s: %w", s.name, l.name, err)
				}
			}
		}
	}
	out.Table()
	for _, l := range loads {
		for _, figure := range []string{"rate_per_s", "server_cpu_s_per_m", "p50_ms", "consume_per_s"} {
			ours, theirs := out.MedianOf("millstream/"+l.name, figure), out.MedianOf("kfake-sync/"+l.name, figure)
			if theirs != 0 {
				fmt.Printf("# %s %s: millstream / kfake-sync = %.2f\n", l.name, figure, ours/theirs)
			}
		}
	}
	return nil
}

// subject is a server that is measured; its data directory is its last argument.
type subject struct {
	name    string
	command []string
}

func (s subject) measure(out *measure.Results, l load, n int) error {
	data, err := os.MkdirTemp(*dir, "kafkapath-"+s.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	p, err := startServer(append(s.command, data))
	if err != nil {
		return err
	}
	defer p.stop()
	run := &produceRun{load: l, address: p.address, seconds: time.Duration(*seconds) * time.Second, pid: p.pid()}
	figures, err := run.produce()
	if err != nil {
		return err
	}
	read, err := run.readBack()
	if err != nil {
		figures["INVALID"] = 1
		fmt.Printf("# INVALID %s %s: %v\n", s.name, l.name, err)
	}
	for k, v := range read {
		figures[k] = v
	}
	out.Add(s.name+"/"+l.name, n, figures)
	return nil
}
