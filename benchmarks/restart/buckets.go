package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/replicas"
	"github.com/millstream-io/millstream/state/engine"
)

const (
	openFlag    = "open"
	bucketBytes = 1 << 20
	piece       = 64 << 10
	logs        = 4 // replicas that write the buckets
)

func bucketsName(n int) string { return fmt.Sprintf("sealed/buckets=%d", n) }

// sealed compares a store with many small sealed buckets, all of them read from, with one that has only its
// active bucket. Each is opened by a process of its own, so that nothing else is in its memory.
func (c settings) sealed(out *measure.Results) error {
	dir, err := os.MkdirTemp(c.Dir, "restart-buckets-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, count := range []int{0, c.buckets} {
		if err := c.writeBuckets(filepath.Join(dir, bucketsName(count)), count); err != nil {
			return err
		}
	}
	for n := range c.Repetitions {
		for _, count := range []int{0, c.buckets} {
			answer, err := exec.Command(c.self, "-"+openFlag, filepath.Join(dir, bucketsName(count)),
				"-idle", c.idle.String()).Output()
			if err != nil {
				return fmt.Errorf("open %d buckets: %w", count, err)
			}
			figures := map[string]float64{}
			if err := json.Unmarshal(answer, &figures); err != nil {
				return fmt.Errorf("%q: %w", answer, err)
			}
			out.Add(bucketsName(count), n, figures)
		}
	}
	return nil
}

// writeBuckets writes until the store has count sealed buckets. A bucket is closed when the next write finds
// it full.
func (c settings) writeBuckets(dir string, count int) error {
	s, err := engine.Open(engine.Options{Dir: dir, BucketBytes: bucketBytes})
	if err != nil {
		return err
	}
	all := replicas.New(logs)
	for err == nil {
		sealed, err1 := sealedSpans(s, all[0])
		if err = err1; err != nil || sealed >= count {
			break
		}
		_, err = replicas.Fill(s, all, piece, bucketBytes/piece/logs)
	}
	if err == nil && count == 0 {
		_, err = replicas.Fill(s, all, piece, 1)
	}
	return errors.Join(err, s.Close())
}

func sealedSpans(s *engine.Store, l *replicas.Log) (n int, err error) {
	spans, err := s.Spans(l.ID, nil)
	for _, sp := range spans {
		if sp.Sealed {
			n++
		}
	}
	return n, err
}

// printCost opens a store, reads from each of its buckets, leaves it alone for a while and prints what it
// holds on to: at once, and without what only the collector has not come to.
func printCost(dir string, idle time.Duration, w io.Writer) error {
	s, err := engine.Open(engine.Options{Dir: dir, BucketBytes: bucketBytes})
	if err != nil {
		return err
	}
	defer s.Close()
	sealed := 0
	for _, l := range replicas.New(logs) {
		spans, err := s.Spans(l.ID, nil)
		for i := 0; i < len(spans) && err == nil; i++ {
			_, err = s.Entries(l.ID, spans[i].First, spans[i].First+1, 1, nil)
		}
		if err != nil {
			return err
		}
		sealed = max(sealed, len(spans)-1)
	}
	<-time.After(idle)
	goroutines := runtime.NumGoroutine()
	anon, err1 := measure.AnonymousMemory(os.Getpid())
	debug.FreeOSMemory()
	live, err2 := measure.AnonymousMemory(os.Getpid())
	resident, err3 := measure.ResidentMemory(os.Getpid())
	files, err4 := os.ReadDir("/proc/self/fd")
	err5 := json.NewEncoder(w).Encode(map[string]float64{
		"anon_mb": float64(anon) / (1 << 20), "anon_live_mb": float64(live) / (1 << 20),
		"resident_mb": float64(resident) / (1 << 20), "goroutines": float64(goroutines),
		"open_files": float64(len(files)), "sealed_buckets": float64(sealed),
	})
	return errors.Join(err1, err2, err3, err4, err5)
}
