package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// crashRun drives a memory store through appends, trims, steps, reclaims and crashes from one seed. It
// returns a trace of all that happened, and the first loss of an acknowledged entry.
func crashRun(seed uint64, o engine.Options) (trace string, err error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	o.BucketBytes = 64 << 10
	m := engine.NewMemory(o)
	acked := map[record.ReplicaID]uint64{}
	logs := map[record.ReplicaID]*enginetest.Log{}
	var b strings.Builder
	for range 300 {
		id := record.ReplicaID(rng.IntN(3) + 1)
		switch k := rng.IntN(20); {
		case k < 10:
			l := logs[id]
			if l == nil {
				if l, err = rebuild(m, id); err != nil {
					return b.String(), err
				}
				l.Class = state.Class(id % 2)
				logs[id] = l
			}
			w := l.Append(1, crashShape(l.Tail.Last+1))
			if w.Tail.Last%16 == 0 {
				w.Tail = l.Trim(max(l.Tail.First, w.Tail.Last-8)).Tail
			}
			m.Append(l.Class, w, func(err error) {
				fmt.Fprintln(&b, "done", id, w.Tail.Last, err)
				acked[id] = w.Tail.Last
			})
		case k == 10:
			if err := m.Reclaim(); err != nil {
				return b.String(), err
			}
			fmt.Fprintln(&b, "reclaimed", m.Disk().Bytes())
		case k == 11 && logs[id] != nil:
			l := logs[id]
			m.Compact(l.Compact(l.Tail.Last, crashJudge), func(r state.CompactionResult, err error) {
				fmt.Fprintln(&b, "compacted", id, r, err)
				l.Compacted(r.Through, crashJudge)
			})
		case k < 19:
			fmt.Fprintln(&b, "step", m.Step(), m.Pending())
		default:
			if err := m.Crash(rng); err != nil {
				return b.String(), err
			}
			clear(logs)
			if err := survived(m, acked, &b); err != nil {
				return b.String(), err
			}
		}
	}
	return b.String(), m.Close()
}

// survived checks that every log is whole and has at least what was acknowledged.
func survived(m *engine.Memory, acked map[record.ReplicaID]uint64, b *strings.Builder) error {
	for id := record.ReplicaID(1); id <= 3; id++ {
		l, err := rebuild(m, id)
		if err == nil && l.Tail.Last > 0 {
			err = enginetest.Check(m, l)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(b, "crashed", id, l.Tail.Last)
		if l.Tail.Last < acked[id] {
			return fmt.Errorf("replica %d ends at %d, %d was acknowledged", id, l.Tail.Last, acked[id])
		}
	}
	return nil
}

// Goal: acknowledged entries outlive a crash of the memory store, and a run is the same from the same seed.
// Method: many seeds, each run twice.
func TestMemoryCrashKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		first, err := crashRun(seed, engine.Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if second, _ := crashRun(seed, engine.Options{}); second != first {
			t.Fatalf("seed %d runs in two ways", seed)
		}
	}
}

// Goal: the test above sees a store that acknowledges before it syncs (its negative control). Method: break
// syncs.
func TestMemoryCrashSeesBrokenSync(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		if _, err := crashRun(seed, engine.Options{Faults: &engine.Faults{NoSync: true}}); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Fatal("no loss was seen")
}
