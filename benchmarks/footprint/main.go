package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

var (
	dir         = flag.String("dir", os.TempDir(), "directory on the device to measure")
	repetitions = flag.Int("n", 5, "repetitions")
	partitions  = flag.Int("partitions", 100, "partitions of the log that a member is started on")
	megabytes   = flag.Int("mb", 64, "megabytes in that log")
	idle        = flag.Duration("idle", 5*time.Second, "how long a member is left alone before its memory is read")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "footprint:", err)
		os.Exit(1)
	}
}

func run() error {
	bin, err := os.MkdirTemp("", "footprint-bin-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	binary := filepath.Join(bin, "millstream")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/millstream")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	out := measure.NewResults(os.Stdout, "footprint of one member", *dir)
	out.Add("binary, stripped", 0, map[string]float64{"size_mb": float64(info.Size()) / (1 << 20)})
	for n := range *repetitions {
		data, err := os.MkdirTemp(*dir, "footprint-")
		if err != nil {
			return err
		}
		err = errors.Join(once(out, "empty directory", binary, data, n, nil),
			once(out, "filling it", binary, data, n, fill),
			once(out, fmt.Sprintf("log of %d MB in %d partitions", *megabytes, *partitions), binary, data, n, nil),
			os.RemoveAll(data))
		if err != nil {
			return err
		}
	}
	out.Table()
	return nil
}

// once starts a member, lets use work with it, leaves it alone, reads its memory and kills it.
func once(out *measure.Results, subject, binary, data string, n int, use func(address string) error) error {
	begin := time.Now()
	cmd := exec.Command(binary, "server", "--kafka-listen", "127.0.0.1:0", "--http-listen=", "--data", data)
	logs, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	address, err := ready(bufio.NewScanner(logs))
	if err != nil {
		return err
	}
	took := time.Since(begin)
	if use != nil {
		return use(address)
	}
	<-time.After(*idle)
	anonymous, err1 := measure.AnonymousMemory(cmd.Process.Pid)
	cpu, err2 := measure.CPU(cmd.Process.Pid)
	<-time.After(*idle)
	later, err3 := measure.CPU(cmd.Process.Pid)
	out.Add(subject, n, map[string]float64{
		"ready_ms": float64(took) / float64(time.Millisecond), "idle_anon_mb": float64(anonymous) / (1 << 20),
		"idle_cpu_percent": 100 * (later - cpu).Seconds() / idle.Seconds(),
	})
	return errors.Join(err1, err2, err3)
}

func ready(lines *bufio.Scanner) (string, error) {
	var said []string
	for lines.Scan() {
		var entry struct{ Msg, Kafka string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "member ready" {
			return entry.Kafka, nil
		}
		said = append(said, lines.Text())
	}
	return "", fmt.Errorf("the member ended: %s", strings.Join(said, "\n"))
}

// fill makes a topic and writes the log.
func fill(address string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic("log"),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx := context.Background()
	if _, err := kadm.NewClient(c).CreateTopic(ctx, int32(*partitions), 1, nil, "log"); err != nil {
		return err
	}
	var failed error
	for i := range *megabytes << 10 {
		c.Produce(ctx, &kgo.Record{Key: fmt.Append(nil, i), Value: make([]byte, 1024)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	return errors.Join(c.Flush(ctx), failed)
}
