package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/raw"
	"github.com/millstream-io/millstream/benchmarks/replicas"
	"github.com/millstream-io/millstream/cluster/observe"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
)

const (
	rawGroup  = 1 << 20
	loneBytes = 4 << 10
)

var (
	entrySizes = []int{16 << 10, 1 << 10}

	rawName      = fmt.Sprintf("raw/group=%d", rawGroup)
	loneName     = fmt.Sprintf("engine/lone=%d", loneBytes)
	loneRawName  = fmt.Sprintf("raw/append=%d", loneBytes)
	loneOverName = fmt.Sprintf("raw/overwrite=%d", loneBytes)
)

func engineName(size int) string { return fmt.Sprintf("engine/entry=%d", size) }

// repetition does every step once; who goes first changes with n. The raw group runs beside each size.
func (c settings) repetition(out *measure.Results, n int) error {
	pairs := [][2]func() error{
		{func() error { return c.lonely(out, n) }, func() error { return c.rawLonely(out, n) }},
	}
	for _, size := range entrySizes {
		pairs = append(pairs, [2]func() error{
			func() error { return c.groups(out, n, size) },
			func() error { return c.rawGroups(out, n) },
		})
	}
	for _, pair := range pairs {
		for i := range pair {
			if err := pair[(i+n)%len(pair)](); err != nil {
				return err
			}
		}
	}
	return nil
}

// rawGroups appends and fdatasyncs one group after the other.
func (c settings) rawGroups(out *measure.Results, n int) error {
	begin := time.Now()
	took, err := raw.Append(filepath.Join(c.Dir, "groupcommit-raw"), rawGroup, c.megabytes, uint64(n))
	out.Add(rawName, n, map[string]float64{
		"rate_mb_s":    float64(c.megabytes) / time.Since(begin).Seconds(),
		"group_p50_ms": measure.Quantile(took, 0.5),
		"group_p99_ms": measure.Quantile(took, 0.99),
	})
	return err
}

// groups lets every replica write one entry after the other, as a partition with one batch in flight does. A
// group is timed by the store; an entry also waits for the groups before its own.
func (c settings) groups(out *measure.Results, n, size int) error {
	entries := max(1, c.megabytes<<20/size/c.replicas)
	return c.inStore(func(s *engine.Store, g *groupTimes) error {
		begin := time.Now()
		each, err := replicas.Fill(s, replicas.New(c.replicas), size, entries)
		if err != nil {
			return err
		}
		took := time.Since(begin)
		groups, bytes := g.so()
		out.Add(engineName(size), n, map[string]float64{
			"rate_mb_s":    float64(entries*c.replicas*size) / (1 << 20) / took.Seconds(),
			"entry_p50_ms": measure.Quantile(each, 0.5),
			"entry_p99_ms": measure.Quantile(each, 0.99),
			"group_p50_ms": measure.Quantile(groups, 0.5),
			"group_p99_ms": measure.Quantile(groups, 0.99),
			"group_kb":     float64(bytes) / 1024 / float64(max(1, len(groups))),
		})
		return nil
	})
}

// lonely writes one batch of a single replica at a time: nothing shares its group.
func (c settings) lonely(out *measure.Results, n int) error {
	return c.inStore(func(s *engine.Store, _ *groupTimes) error {
		took, err := replicas.Fill(s, replicas.New(1), loneBytes, c.lone)
		report(out, loneName, n, took)
		return err
	})
}

// rawLonely does the same to a file that grows, and to one that does not.
func (c settings) rawLonely(out *measure.Results, n int) error {
	path := filepath.Join(c.Dir, "groupcommit-lone")
	appended, err1 := raw.Append(path, loneBytes, c.lone, uint64(n))
	report(out, loneRawName, n, appended)
	over, err2 := raw.Overwrite(path, loneBytes, c.lone, uint64(n))
	report(out, loneOverName, n, over)
	return errors.Join(err1, err2)
}

func report(out *measure.Results, name string, n int, took []time.Duration) {
	figures := map[string]float64{}
	measure.Latencies(figures, took)
	out.Add(name, n, figures)
}

// inStore opens an empty store for use, and removes it.
func (c settings) inStore(use func(*engine.Store, *groupTimes) error) error {
	path, err := os.MkdirTemp(c.Dir, "groupcommit-engine-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(path)
	g := &groupTimes{Observer: observe.New(observe.Options{}).Engine()}
	s, err := engine.Open(engine.Options{Dir: path, Observer: g})
	if err != nil {
		return err
	}
	return errors.Join(use(s, g), s.Close())
}

// groupTimes notes how long the disk took for each group.
type groupTimes struct {
	engine.Observer // as in a member

	mu    sync.Mutex
	took  []time.Duration
	bytes int64
}

// Committed implements engine.Observer.
func (g *groupTimes) Committed(c state.Class, rows int, bytes int64, took time.Duration) {
	g.Observer.Committed(c, rows, bytes, took)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.took, g.bytes = append(g.took, took), g.bytes+bytes
}

// so returns the groups so far, and their bytes.
func (g *groupTimes) so() ([]time.Duration, int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.took, g.bytes
}
