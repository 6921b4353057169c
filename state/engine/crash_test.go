package engine_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

const (
	childDir      = "MILLSTREAM_ENGINE_TEST_CHILD" // set in the child: the store's directory
	childReplicas = 4
)

// crashOptions make buckets so small that a run of a fraction of a second rolls several times.
func crashOptions(dir string) engine.Options {
	return engine.Options{Dir: dir, BallastBytes: -1, BucketBytes: 1 << 20, MaxWriteBytes: 2 << 20}
}

// crashShape is the next entry of a log; parent and child compute the same.
func crashShape(index uint64) enginetest.Shape {
	return enginetest.Shape{
		Bytes: int(index*977%7) * 1500, Offsets: 1 + int64(index%3), TimeMs: int64(index % 5),
	}
}

// runChild is what the test binary does when the crash test started it: write to all replicas without end,
// give space back without end, and print "replica index" for each acknowledged entry, until it is killed.
func runChild() {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	s, err := engine.Open(crashOptions(dir))
	if err != nil {
		fmt.Println("open", err)
		os.Exit(1)
	}
	acks := make(chan string, 1024)
	for id := range record.ReplicaID(childReplicas) {
		go writeForever(s, id+1, acks)
	}
	go func() {
		for s.Reclaim() == nil {
			compactAll(s)
			runtime.Gosched()
		}
	}()
	for a := range acks {
		fmt.Println(a)
	}
}

// crashJudge is what the child compacts by, and the parent.
func crashJudge(e state.Entry) enginetest.Verdict {
	if e.Index%5 < 2 {
		return enginetest.Nothing
	}
	return enginetest.Whole
}

// compactAll has all that was written compacted by the next Reclaim.
func compactAll(s state.LogStore) {
	for id := range record.ReplicaID(childReplicas) {
		if tail, _, err := s.Load(id + 1); err == nil && tail.Last > 0 {
			k := enginetest.NewLog(id+1, state.ClassLong).Compact(tail.Last, crashJudge)
			s.Compact(k, func(_ state.CompactionResult, err error) {
				if err != nil {
					fmt.Println("compact", err)
					os.Exit(1)
				}
			})
		}
	}
}

// writeForever keeps four writes of a replica in flight, beginning where its log ends, and trims the log now
// and then.
func writeForever(s state.LogStore, id record.ReplicaID, acks chan<- string) {
	l, err := rebuild(s, id)
	if err != nil {
		fmt.Println("rebuild", err)
		os.Exit(1)
	}
	room := make(chan struct{}, 4)
	for {
		room <- struct{}{}
		w := l.Append(1, crashShape(l.Tail.Last+1))
		if keep := uint64(id) * 100; w.Tail.Last%64 == 0 && w.Tail.Last > l.Tail.First+keep {
			w.Tail = l.Trim(w.Tail.Last - keep).Tail
		}
		c := state.ClassLong
		if id == childReplicas { // this one outlives the process, too
			c, w.Sync, w.Within = state.ClassRelaxed, false, time.Hour
		}
		s.Append(c, w, func(err error) {
			if err != nil {
				fmt.Println("append", err)
				os.Exit(1)
			}
			acks <- fmt.Sprint(id, " ", w.Tail.Last)
			<-room
		})
	}
}

// rebuild makes the model of a log that was written by writeForever and is as long as the store says, and
// compacted as far as it was.
func rebuild(s state.LogStore, id record.ReplicaID) (*enginetest.Log, error) {
	tail, _, err := s.Load(id)
	if err != nil {
		return nil, err
	}
	l := enginetest.NewLog(id, state.ClassLong)
	for l.Tail.Last < tail.Last {
		l.Append(1, crashShape(l.Tail.Last+1))
	}
	if err := l.Settle(s, crashJudge); err != nil {
		return nil, err
	}
	if tail.First > 1 {
		l.Trim(tail.First)
	}
	return l, nil
}

// Goal: what was acknowledged outlives a killed process, durable or not, over rolls and half-made buckets. Method: a child
// process writes and prints what was acknowledged; it is killed at a random moment, several times; after
// each kill the store has at least that, and every entry of it is whole.
func TestAcknowledgedEntriesOutliveSIGKILL(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	acked := map[record.ReplicaID]uint64{}
	for range 4 {
		for id, last := range killedChild(t, dir, 200+rng.IntN(600)) {
			acked[id] = max(acked[id], last)
		}
		s, err := engine.Open(crashOptions(dir))
		if err != nil {
			t.Fatal(err)
		}
		for id := record.ReplicaID(1); id <= childReplicas; id++ {
			l, err := rebuild(s, id)
			if err == nil && acked[id] > 0 {
				err = enginetest.Check(s, l)
			}
			if err != nil {
				t.Fatal(err)
			}
			if lost := s.Damaged(); len(lost) != 0 {
				t.Fatalf("a kill was taken for damage: %+v", lost)
			}
			if l.Tail.Last < acked[id] {
				t.Fatalf("replica %d ends at %d, %d was acknowledged", id, l.Tail.Last, acked[id])
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acked[1] == 0 {
		t.Fatal("nothing was acknowledged")
	}
	t.Logf("acknowledged %v", acked)
}

// killedChild runs the child until it has acknowledged some entries and then kills it. It returns what it
// said.
func killedChild(t *testing.T, dir string, after int) map[record.ReplicaID]uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[record.ReplicaID]uint64{}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		id, index, _ := strings.Cut(lines.Text(), " ")
		r, err1 := strconv.ParseUint(id, 10, 64)
		i, err2 := strconv.ParseUint(index, 10, 64)
		if (err1 != nil || err2 != nil) && n < after {
			t.Fatalf("the child says %q", lines.Text())
		}
		if err1 == nil && err2 == nil && i > said[record.ReplicaID(r)] {
			said[record.ReplicaID(r)] = i
		}
	}
	_ = cmd.Wait() // it was killed
	return said
}
