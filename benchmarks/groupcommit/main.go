package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

var (
	dir         = flag.String("dir", os.TempDir(), "directory on the device to measure")
	repetitions = flag.Int("n", 5, "repetitions")
	megabytes   = flag.Int("mb", 256, "megabytes written in each")
	replicas    = flag.Int("replicas", 256, "replicas that write at the same time")
	touch       = flag.Int("touch", 1<<30, "bytes of memory touched first")
)

const rawGroup = 1 << 20

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "groupcommit:", err)
		os.Exit(1)
	}
}

func run() error {
	out := measure.NewResults(os.Stdout, "group commit beside raw append + fdatasync", *dir)
	measure.Touch(*touch)
	payloads := []int{16 << 10, 1 << 10}
	for n := range *repetitions {
		for _, size := range payloads {
			engineName, rawName := fmt.Sprintf("engine/entry=%d", size), fmt.Sprintf("raw/group=%d", rawGroup)
			steps := []func() error{
				func() error { return engineRun(out, engineName, n, size) },
				func() error { return rawRun(out, rawName, n) },
			}
			if n%2 == 1 {
				steps[0], steps[1] = steps[1], steps[0]
			}
			for _, step := range steps {
				if err := step(); err != nil {
					return err
				}
			}
		}
	}
	out.Table()
	raw := out.MedianOf(fmt.Sprintf("raw/group=%d", rawGroup), "rate_mb_s")
	for _, size := range payloads {
		fmt.Printf("# engine entry=%d against raw: %.2f\n", size,
			out.MedianOf(fmt.Sprintf("engine/entry=%d", size), "rate_mb_s")/raw)
	}
	return nil
}

// rawRun appends and fdatasyncs one group after the other.
func rawRun(out *measure.Results, name string, n int) error {
	path := filepath.Join(*dir, "groupcommit-raw")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	defer f.Close()
	group := make([]byte, rawGroup)
	fill(group, uint64(n))
	var took []time.Duration
	begin := time.Now()
	for range *megabytes {
		t := time.Now()
		if _, err := f.Write(group); err != nil {
			return err
		}
		if err := datasync(f); err != nil {
			return err
		}
		took = append(took, time.Since(t))
	}
	report(out, name, n, *megabytes, time.Since(begin), took)
	return nil
}

// engineRun lets every replica write one entry after the other, as a partition with one batch in flight does.
func engineRun(out *measure.Results, name string, n, size int) error {
	path, err := os.MkdirTemp(*dir, "groupcommit-engine-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(path)
	s, err := engine.Open(engine.Options{Dir: path})
	if err != nil {
		return err
	}
	entries := *megabytes << 20 / size / *replicas
	latencies := make([][]time.Duration, *replicas)
	errs := make([]error, *replicas)
	var all sync.WaitGroup
	begin := time.Now()
	for r := range *replicas {
		all.Go(func() { latencies[r], errs[r] = write(s, record.ReplicaID(r+1), size, entries) })
	}
	all.Wait()
	took := time.Since(begin)
	var each []time.Duration
	for r := range *replicas {
		if errs[r] != nil {
			return errs[r]
		}
		each = append(each, latencies[r]...)
	}
	report(out, name, n, entries**replicas*size>>20, took, each)
	return s.Close()
}

func write(s *engine.Store, id record.ReplicaID, size, entries int) (took []time.Duration, err error) {
	done := make(chan error, 1)
	for i := range entries {
		frame := make([]byte, state.FrameRoom+size)
		fill(frame[state.FrameRoom:], uint64(id)<<32|uint64(i))
		e := state.Entry{
			Index: uint64(i + 1), Term: 1, Type: state.EntryRecords,
			Base: record.Offset(i), Last: record.Offset(i), Frame: frame,
		}
		e.Seal()
		w := state.Write{
			Replica: id, Tail: state.Tail{First: 1, Last: uint64(i + 1), LastTerm: 1, Term: 1, Commit: uint64(i)},
			Entries: []state.Entry{e}, Sync: true,
		}
		t := time.Now()
		s.Append(state.ClassLong, w, func(err error) { done <- err })
		if err := <-done; err != nil {
			return nil, err
		}
		took = append(took, time.Since(t))
	}
	return took, nil
}

// fill makes bytes that do not compress.
func fill(b []byte, seed uint64) {
	r := rand.NewPCG(seed, 1)
	for i := 0; i+8 <= len(b); i += 8 {
		v := r.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
}

func report(out *measure.Results, name string, n, mb int, took time.Duration, each []time.Duration) {
	out.Add(name, n, map[string]float64{
		"rate_mb_s": float64(mb) / took.Seconds(),
		"p50_ms":    measure.Quantile(each, 0.5),
		"p99_ms":    measure.Quantile(each, 0.99),
	})
}
