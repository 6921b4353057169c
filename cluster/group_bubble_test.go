package cluster_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/group"
)

// Goal: with every strategy, members that join, leave, crash, freeze and come back under load, and a coordinator
// that is started again in the middle, leave each partition with one owner a generation at most; no record is
// skipped, no committed one read again by who gets its partition later, and the lag is what it should be. Method:
// franz-go against a member in fake time, over pipes that can be held and cut; a ledger of what everybody saw.
func TestGroupsInFakeTime(t *testing.T) {
	for name, strategy := range map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "round robin": kgo.RoundRobinBalancer(),
		"sticky": kgo.StickyBalancer(), "cooperative": kgo.CooperativeStickyBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) { groupLife(t, rand.New(rand.NewPCG(seed, 1)), strategy) })
		})
	}
}

const lifePartitions = 6

func groupLife(t *testing.T, rng *rand.Rand, strategy kgo.GroupBalancer) {
	w := newGroupWorld(t)
	defer func() { w.close() }()
	if _, err := w.m.Client().CreateTopic(context.Background(), client.NewTopic{Name: "t", Partitions: lifePartitions}); err != nil {
		t.Fatal(err)
	}
	k := newLedger()
	balanced := kgo.Balancers(strategy)
	var readers []*reader
	join := func() {
		name := fmt.Sprintf("r%d", rng.IntN(1_000_000))
		readers = append(readers, w.reader(k, name, "g", "t", balanced))
	}
	producer := w.client(w.wire(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	defer producer.Close()
	written := make(chan error, 1)
	var load sync.WaitGroup
	load.Go(func() {
		for range 60 {
			if err := write(producer, "t", lifePartitions, lifePartitions); err != nil {
				written <- err
				return
			}
			<-time.After(2 * time.Second)
		}
		written <- nil
	})
	join()
	for step := range 16 {
		<-time.After(time.Duration(rng.IntN(9_000)) * time.Millisecond)
		if step == 8 {
			w.close()
			<-time.After(time.Duration(rng.IntN(20_000)) * time.Millisecond)
			w.boot()
		}
		at := rng.IntN(len(readers))
		switch what := rng.IntN(6); {
		case what < 2 || len(readers) < 2:
			join()
		case what == 2:
			readers[at].leave()
			readers = slices.Delete(readers, at, at+1)
		case what == 3:
			readers[at].crash()
			readers = slices.Delete(readers, at, at+1)
		default: // longer than its session now and then
			held := readers[at].wire
			d := time.Duration(rng.IntN(25_000)) * time.Millisecond
			load.Go(func() { held.hold(d) })
		}
	}
	load.Wait()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	w.caughtUp("g", lifePartitions, 5*time.Minute)
	for _, r := range readers {
		r.leave()
	}
	lagOfWorld(w, k, producer)
	k.check(t)
	if k.generation < 5 {
		t.Errorf("only %d generations: nothing was tried", k.generation)
	}
	t.Logf("%d generations, %d records read again", k.generation, k.again)
}

// lagOfWorld writes to a group that nobody is in, and looks whether it is behind by just that.
func lagOfWorld(w *groupWorld, k *ledger, producer *kgo.Client) {
	w.t.Helper()
	if err := write(producer, "t", lifePartitions, 2*lifePartitions+1); err != nil {
		w.t.Fatal(err)
	}
	for p, lag := range w.lags("g") {
		more := int64(2)
		if p.n == 0 {
			more++
		}
		if lag.Lag != more || lag.Commit.At != k.tried[p] || lag.End.Offset != k.seen[p]+more || k.seen[p] != k.tried[p] {
			w.t.Errorf("%v: behind by %d, committed %d of %d; read up to %d, then %d more", p, lag.Lag, lag.Commit.At,
				lag.End.Offset, k.seen[p], more)
		}
	}
}

// Goal: a hundred groups whose rows lie in one partition of the offsets topic do not disturb each other, also when
// their coordinator is started again. Method: names that fall into one partition; one reader each, a second one
// for some; a restart, then the same for what was written after it.
func TestHundredGroupsOnOnePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const groups = 100
		w := newGroupWorld(t)
		defer func() { w.close() }()
		if _, err := w.m.Client().CreateTopic(context.Background(), client.NewTopic{Name: "t", Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		var names []string
		for i := 0; len(names) < groups; i++ {
			if name := fmt.Sprintf("group-%d", i); group.PartitionOf(name, config.OffsetsPartitions) == 7 {
				names = append(names, name)
			}
		}
		producer := w.client(w.wire(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
		defer producer.Close()
		if err := write(producer, "t", 2, 20); err != nil {
			t.Fatal(err)
		}
		ledgers := map[string]*ledger{}
		var readers []*reader
		for i, name := range names {
			ledgers[name] = newLedger()
			for range 1 + i%5/4 {
				readers = append(readers, w.reader(ledgers[name], name, name, "t"))
			}
		}
		for _, name := range names {
			w.caughtUp(name, 2, 2*time.Minute)
		}
		w.close()
		w.boot()
		if err := write(producer, "t", 2, 20); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			w.caughtUp(name, 2, 2*time.Minute)
		}
		for _, r := range readers {
			r.leave()
		}
		for name, k := range ledgers {
			if k.check(t); len(k.seen) != 2 || k.seen[part{"t", 0}] != 20 || k.seen[part{"t", 1}] != 20 {
				t.Errorf("%s read %v", name, k.seen)
			}
		}
	})
}

// Goal: the ledger of these tests finds what must never be. Method: tell it of each.
func TestLedgerFinds(t *testing.T) {
	p := part{"t", 0}
	for name, do := range map[string]func(k *ledger){
		"two owners":      func(k *ledger) { k.owns(3, "a", p); k.owns(3, "b", p) },
		"a gap":           func(k *ledger) { k.read("a", p, 0, -1, 0); k.read("a", p, 2, 1, 0) },
		"a start ahead":   func(k *ledger) { k.read("a", p, 4, -1, 0) },
		"committed again": func(k *ledger) { k.read("a", p, 0, -1, 0); k.acks(p, 1); k.read("b", p, 0, -1, k.owns(2, "b", p)) },
	} {
		k := newLedger()
		if do(k); len(k.faults) == 0 {
			t.Errorf("%s was not found", name)
		}
	}
	k := newLedger()
	k.read("a", p, 0, -1, k.owns(1, "a", p))
	k.tries(p, 1)
	k.acks(p, 1)
	if k.read("b", p, 1, -1, k.owns(2, "b", p)); len(k.faults) > 0 {
		t.Errorf("found: %v", k.faults)
	}
}
