package fault

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// smallBuckets makes the log begin a new bucket every megabyte.
var smallBuckets = []string{"--storage-bucket-bytes", fmt.Sprint(1 << 20)}

// buckets is how many buckets the records of a data directory have been put into so far, or are just being
// put into.
func buckets(data string) int {
	names, err := filepath.Glob(filepath.Join(data, "log", "long", "0*"))
	if err != nil {
		return 0
	}
	return len(names)
}

// Goal: a power cut loses and tears nothing that was acknowledged, over rolls, and offsets stay dense.
// Method: acks=all to several topics on an ext4 of their own, with buckets so small that they are rolled all
// the time; topics are made meanwhile; the power is cut at a random moment; then everything is read back. All
// rounds share one log.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	v := newExt4(t, 2<<30)
	rng := rand.New(rand.NewPCG(*seed, 1))
	var acked journal
	s := harness.StartServer(t, v.data(), smallBuckets...)
	create(t, s.Kafka(), topics...)
	for round := range *cuts {
		before := buckets(v.data())
		l := startLoad(t, s.Kafka(), rand.New(rand.NewPCG(*seed, uint64(round))), &acked)
		harness.Await(t, limit, func() bool { return buckets(v.data()) > before }, "the next bucket")
		extra := fmt.Sprintf("made-in-round-%d", round)
		create(t, s.Kafka(), extra)
		acked.awaitMore(t, 100+rng.IntN(1000))
		v.cutPower(s)
		l.stop()
		s = harness.StartServer(t, v.data(), smallBuckets...)
		mustAgree(t, s.Kafka(), &acked, "power cut %d", round)
		if got := topicNames(t, s.Kafka()); len(got) != len(topics)+round+1 {
			t.Fatalf("power cut %d: %s was acknowledged, the topics are %v", round, extra, got)
		}
	}
	t.Logf("seed %d: %d power cuts, %d buckets, %d acknowledged records, all there and whole, offsets dense",
		*seed, *cuts, buckets(v.data()), acked.len())
	s.Stop()
}

// Goal: the checks of TestPowerCut find a member that acknowledges what is not on the disk. Method: the same,
// but strace answers every sync itself, and nothing reaches the disk; acknowledged records must be missed in
// one of a few tries.
func TestPowerCutWithoutSync(t *testing.T) {
	t.Parallel()
	needRoot(t, "strace")
	const tries = 3
	for try := range tries {
		v := newExt4(t, 1<<30)
		var acked journal
		s := harness.StartServer(t, v.data())
		create(t, s.Kafka(), topics...)
		inject(t, s, "retval=0")
		l := startLoad(t, s.Kafka(), rand.New(rand.NewPCG(*seed, uint64(try))), &acked)
		acked.awaitMore(t, 300)
		v.cutPower(s)
		l.stop()
		s, err := harness.TryServer(t, v.data())
		if err != nil {
			t.Logf("try %d: %d records acknowledged without a sync, then not even a start", try, acked.len())
			return
		}
		faults := check(t, s.Kafka(), &acked)
		t.Logf("try %d: %d records acknowledged without a sync, %d faults found", try, acked.len(), len(faults))
		s.Kill()
		if len(faults) > 0 {
			return
		}
	}
	t.Fatalf("the syncs were swallowed, and no acknowledged record was missed in %d tries", tries)
}

// Goal: readback and journal find a lost, a torn, a doubled and an exchanged record. Method: spoil either by
// hand.
func TestCompareFindsFaults(t *testing.T) {
	where := at{part{"small", 0}, 7}
	for name, c := range map[string]struct {
		found   map[at]uint32
		refused map[at]error
		twice   bool
		faults  int
	}{
		"same":      {found: map[at]uint32{where: 5}},
		"lost":      {faults: 1},
		"exchanged": {found: map[at]uint32{where: 6}, faults: 1},
		"refused":   {refused: map[at]error{where: os.ErrInvalid}},
		"twice":     {found: map[at]uint32{where: 5}, twice: true, faults: 1},
	} {
		var j journal
		j.add(where, 5)
		if c.twice {
			j.add(where, 5)
		}
		if got := j.compare(&readback{found: c.found, refused: c.refused}); len(got) != c.faults {
			t.Errorf("%s: %v", name, got)
		}
	}
	value := newValue(rand.New(rand.NewPCG(1, 1)), 100)
	if err := whole(value); err != nil {
		t.Error(err)
	}
	value[50] ^= 1
	if whole(value) == nil {
		t.Error("a flipped bit was not found")
	}
}
