package remote_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

const walkPartitions, walkRecords = 3, 400

// walk is a consumer, and what a model of it says comes next in each partition.
type walk struct {
	w      *world
	c      *client.Client
	k      *client.Consumer
	r      *rand.Rand
	next   map[record.Partition]int // of assigned partitions
	paused map[record.Partition]bool
}

func (k *walk) do(err error) {
	k.w.t.Helper()
	if err != nil {
		k.w.t.Fatal(err)
	}
}

// poll takes what comes and compares it with the model.
func (k *walk) poll() error {
	k.w.t.Helper()
	left := 0
	for p, n := range k.next {
		if !k.paused[p] {
			left += walkRecords - n
		}
	}
	if left == 0 {
		return nil
	}
	rs, err := k.k.Poll(within(k.w.t))
	k.do(err)
	for _, r := range rs {
		want, ok := k.next[r.Partition]
		if !ok || k.paused[r.Partition] || int(r.Offset) != want || string(r.Value[:20]) != fmt.Sprintf("%20d", want) {
			return fmt.Errorf("partition %d: record %d, %d is next (paused %v)", r.Partition, r.Offset, want, k.paused[r.Partition])
		}
		k.next[r.Partition]++
	}
	return nil
}

// step does one thing to one partition.
func (k *walk) step() {
	k.w.t.Helper()
	p := record.Partition(k.r.IntN(walkPartitions))
	_, assigned := k.next[p]
	to := k.r.IntN(walkRecords)
	switch k.r.IntN(12) {
	case 0:
		k.do(k.k.Assign(within(k.w.t), "t", client.FromOffset(record.Offset(to)), p))
		k.next[p], k.paused[p] = to, false
	case 1:
		if assigned {
			k.do(k.k.Seek(within(k.w.t), "t", client.FromOffset(record.Offset(to)), p))
			k.next[p] = to
		}
	case 2:
		if assigned {
			k.do(k.k.Pause("t", p))
			k.paused[p] = true
		}
	case 3, 4:
		if assigned {
			k.do(k.k.Resume("t", p))
			k.paused[p] = false
		}
	case 5:
		k.k.Unassign("t", p)
		delete(k.next, p)
	default:
		k.do(k.poll())
	}
}

// walkOver makes a consumer of a topic whose records say where they stand.
func walkOver(w *world, seed uint64) *walk {
	k := &walk{
		w: w, c: w.client(client.WithMaxBatchBytes(1 << 10)), r: rand.New(rand.NewPCG(seed, 3)),
		next: map[record.Partition]int{}, paused: map[record.Partition]bool{},
	}
	w.topic(k.c, "t", walkPartitions)
	for i := range walkPartitions * walkRecords {
		r := client.Record{Topic: "t", Value: fmt.Appendf(nil, "%20d%100d", i/walkPartitions, 0)}
		k.c.ProduceAsync(within(w.t), r.At(record.Partition(i%walkPartitions)), func(d client.Delivery) {
			if d.Err != nil {
				w.t.Error(d.Err)
			}
		})
	}
	k.do(k.c.Flush(within(w.t)))
	k.k = k.c.Consumer(client.WithMaxPollBytes(4<<10), client.WithMaxPartitionBytes(3<<10), client.WithMaxWait(5*time.Millisecond))
	w.t.Cleanup(k.k.Close)
	return k
}

// Goal: whatever an application does between two polls, it gets exactly the records that follow its positions, over
// every transport. Method: seeded walks of assigning, seeking, pausing and polling against a model of positions.
func TestWalkOfPositions(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	forEach(t, cluster.Config{}, func(w *world) {
		k := walkOver(w, seed)
		for range 600 {
			k.step()
		}
	})
}

// Goal: the same holds when connections break under what was read ahead. Method: the walk behind a proxy that cuts
// every now and then.
func TestWalkOverBrokenConnections(t *testing.T) {
	t.Parallel()
	w, p := behind(t, cluster.Config{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	k := walkOver(w, seed)
	for i := range 600 {
		if i%60 == 59 {
			p.cutAll()
		}
		k.step()
	}
}

// Goal: the walk sees a consumer that is not where the model is. Method: a model that is one record off after a seek.
func TestWalkSeesWrongPositions(t *testing.T) {
	t.Parallel()
	w, _ := behind(t, cluster.Config{})
	k := walkOver(w, 1)
	k.do(k.k.Assign(within(t), "t", client.FromOffset(7), 0))
	k.next[0] = 8
	if k.poll() == nil {
		t.Error("a consumer one record off was not seen")
	}
}

// Goal: a poll with MinBytes waits until so many bytes are there. Method: a poll while a small record is written, and
// then one that is large enough; both come together.
func TestMinBytes(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c := w.client()
		w.topic(c, "t", 1)
		k := c.Consumer(client.WithMinBytes(2000), client.WithMaxWait(time.Minute))
		defer k.Close()
		if err := k.Assign(within(t), "t", client.FromEarliest()); err != nil {
			w.t.Fatal(err)
		}
		got := make(chan int, 1)
		go func() {
			rs, err := k.Poll(within(w.t))
			if err != nil {
				w.t.Error(err)
			}
			got <- len(rs)
		}()
		for _, n := range []int{10, 3000} {
			if _, err := c.Produce(within(w.t), client.Record{Topic: "t", Value: make([]byte, n)}); err != nil {
				w.t.Fatal(err)
			}
		}
		if n := <-got; n != 2 {
			w.t.Errorf("%d records came", n)
		}
	})
}
