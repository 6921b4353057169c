package broker_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstream-io/millstream/actors/replica"
	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: a fetch answers at once with what is there, when the last missing byte comes, or at its deadline.
// Method: fake time, one partition and several.
func TestFetchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, 3, nil)
		m.put(0, 100)
		at, _ := m.fetch(fetching(1, time.Minute, 0, 0, 0))
		if a := <-at; !equal(offsets(t, a.Partitions[0]), 0) || len(a.Partitions[1].Batches) != 0 {
			t.Fatalf("what is there: %+v", a)
		}
		zero := time.Now()
		nothing, _ := m.fetch(fetching(1, 2*time.Second, 1, 0, 0))
		little, _ := m.fetch(fetching(1000, 2*time.Second, 0))
		if a, b := <-nothing, <-little; len(a.Partitions[0].Batches) != 0 || len(b.Partitions[0].Batches) != 1 ||
			time.Since(zero) != 2*time.Second {
			t.Fatalf("%+v %+v after %s", a, b, time.Since(zero))
		}
		zero = time.Now()
		one, _ := m.fetch(fetching(700, time.Minute, 0))
		any, _ := m.fetch(fetching(1, time.Minute, 1, 0, 0))
		synctest.Wait()
		m.put(0, 100)
		if a := <-any; !equal(offsets(t, a.Partitions[0]), 1) {
			t.Fatalf("first byte: %+v", a)
		}
		synctest.Wait()
		if len(one) != 0 {
			t.Fatal("answered below MinBytes")
		}
		m.put(0, 400)
		if a := <-one; !equal(offsets(t, a.Partitions[0]), 0, 1, 2) || time.Now() != zero {
			t.Fatalf("last byte: %+v after %s", a, time.Since(zero))
		}
	})
}

// Goal: a fetch whose MinBytes can't be reached neither spins nor waits in vain. Method: limits below
// MinBytes answer at once; data that is too little, in memory or on the disk only, waits for its deadline in
// a handful of tries.
func TestFetchDoesNotSpin(t *testing.T) {
	for name, tail := range map[string]int{"memory": 0, "disk": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := start(t, 2, func(m *member) { m.tail = tail })
				for range 4 {
					m.put(0, 1000)
				}
				m.put(1, 10)
				zero := time.Now()
				small := fetching(1<<19, time.Hour, 0)
				small.MaxBytes = 1500
				narrow := fetching(1<<19, time.Hour, 0, 0)
				narrow.Partitions[0].MaxBytes = 1500
				for what, f := range map[string]broker.Fetch{"the answer": small, "a partition": narrow} {
					at, _ := m.fetch(f)
					if a := <-at; !equal(offsets(t, a.Partitions[0]), 0) || time.Now() != zero {
						t.Fatalf("limit of %s: %v after %s", what, offsets(t, a.Partitions[0]), time.Since(zero))
					}
				}
				begin := m.rounds.Load()
				little, _ := m.fetch(fetching(1<<19, time.Minute, 0))
				wide, _ := m.fetch(fetching(1<<19, time.Minute, 0, 0))
				a, b := <-little, <-wide
				if !equal(offsets(t, a.Partitions[0]), 0, 1, 2, 3) || !equal(offsets(t, b.Partitions[1]), 0) ||
					time.Since(zero) != time.Minute {
					t.Fatalf("too little: %+v %+v after %s", a, b, time.Since(zero))
				}
				if n := m.rounds.Load() - begin; n > 6 {
					t.Fatalf("%d tries of two fetches", n)
				}
			})
		})
	}
}

// Goal: what is not in memory is read from the disk; when no job may start, the partition says so and others
// are answered. Method: no tail cache; then a pool that refuses.
func TestFetchFromDisk(t *testing.T) {
	m := start(t, 2, func(m *member) { m.tail = 1 })
	for range 5 {
		m.put(0, 100)
	}
	at, _ := m.fetch(fetching(1, time.Minute, 2, 0))
	if a := <-at; !equal(offsets(t, a.Partitions[0]), 2, 3, 4) {
		t.Fatalf("%+v", a.Partitions[0])
	}
	m.submit = func(func()) error { return fmt.Errorf("full") }
	at, _ = m.fetch(fetching(1, time.Minute, 0, 0))
	a := <-at
	wantCode(t, "no job", a.Partitions[0].Err, fault.ThrottlingQuotaExceeded)
	wantCode(t, "other partition", a.Partitions[1].Err, fault.None)
	q := []broker.OffsetQuery{{Topic: "t", TimestampMs: 5, Epoch: record.NoEpoch}, {Topic: "t", TimestampMs: -2, Epoch: record.NoEpoch},
		{Topic: "t", TimestampMs: 6, Epoch: record.NoEpoch}}
	l := <-once(t, func(done func([]broker.OffsetAnswer)) { m.broker.ListOffsets(broker.Who{}, q, soon(), done) })
	wantCode(t, "search without a job", l[0].Err, fault.ThrottlingQuotaExceeded)
	wantCode(t, "search without a job", l[2].Err, fault.ThrottlingQuotaExceeded)
	if l[1].Err != nil || l[1].Offset != 0 {
		t.Fatalf("earliest: %+v", l[1])
	}
}

// Goal: a read that panics has an answer all the same. Method: a store that panics.
func TestReadPanics(t *testing.T) {
	m := start(t, 2, func(m *member) { m.tail = 1 })
	m.put(0, 100)
	m.put(0, 100)
	m.bad.Store(true)
	at, _ := m.fetch(fetching(1, time.Minute, 0, 0))
	wantCode(t, "fetch", (<-at).Partitions[0].Err, fault.StorageError)
	q := []broker.OffsetQuery{{Topic: "t", TimestampMs: 5, Epoch: record.NoEpoch}}
	l := <-once(t, func(done func([]broker.OffsetAnswer)) { m.broker.ListOffsets(broker.Who{}, q, soon(), done) })
	wantCode(t, "search", l[0].Err, fault.StorageError)
}

// Goal: what a fetch has borrowed of the store is given back once, by whoever gets the answer, and none of it while it
// waits; a fetch that does not ask for it borrows nothing. Method: a store that counts; fetches that are answered at
// once, at the deadline, by a cancel, and with a panic of the store.
func TestFetchGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, 2, func(m *member) { m.tail = 1 })
		for range 5 {
			m.put(0, 100)
			m.put(1, 100)
		}
		check := func(what string, a broker.Fetched, borrowed bool) {
			t.Helper()
			if n := m.drive.lent.Load(); n > 0 != borrowed {
				t.Errorf("%s: %d holds are out", what, n)
			}
			a.Release()
			if n := m.drive.lent.Load(); n != 0 {
				t.Errorf("%s: %d holds are out after the release", what, n)
			}
		}
		f := fetching(1, time.Minute, 2, 1)
		at, _ := m.fetch(f)
		check("not borrowed", <-at, false)
		f.Borrow = true
		at, _ = m.fetch(f)
		a := <-at
		if !equal(offsets(t, a.Partitions[0]), 2, 3, 4) || !equal(offsets(t, a.Partitions[1]), 1, 2, 3, 4) {
			t.Errorf("%+v", a)
		}
		check("at once", a, true)

		f = fetching(1<<20, time.Second, 0, 0)
		f.Borrow = true
		at, _ = m.fetch(f)
		synctest.Wait()
		if n := m.drive.lent.Load(); n != 0 || len(at) != 0 {
			t.Errorf("while it waits %d holds are out", n)
		}
		check("at the deadline", <-at, true)
		at, cancel := m.fetch(f)
		synctest.Wait()
		cancel()
		check("cancelled", <-at, true)

		m.drive.torn.Store(true)
		at, _ = m.fetch(f)
		check("panic", <-at, true)
		if m.drive.made.Load() < 7 {
			t.Errorf("the store has lent %d times only", m.drive.made.Load())
		}
	})
}

// Goal: fetches over many partitions leave nothing behind at the quiet ones. Method: many fetches woken by
// one partition, some cancelled; a day later no watch may have met its deadline. One that is left there is
// the control.
func TestFetchLeavesNoWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 8
		m := start(t, partitions, nil)
		from := make([]record.Offset, partitions)
		for i := range 200 {
			at, cancel := m.fetch(fetching(1, 12*time.Hour, from...))
			switch i % 4 {
			case 0:
				synctest.Wait()
				from[0] = m.put(0, 10) + 1
			case 1: // while the watches are being sent
				from[0] = m.put(0, 10) + 1
			case 2:
				cancel()
			case 3:
				go cancel()
			}
			<-at
			cancel()
		}
		tp := record.TopicPartition{Topic: m.table.Load().Topics["t"].ID}
		r, _ := m.Replica(tp)
		m.place(tp, broker.Replica{View: r.View}) // refuses while the watches are being sent
		at, _ := m.fetch(fetching(1, 12*time.Hour, from...))
		wantCode(t, "nobody there", (<-at).Partitions[0].Err, fault.NotLeader)
		timedOut := func() int64 {
			<-time.After(24 * time.Hour)
			synctest.Wait()
			return m.seen.timedOut.Load()
		}
		if n := timedOut(); n != 0 {
			t.Fatalf("%d watches were left until their deadline", n)
		}
		end := time.Now().Add(12 * time.Hour)
		r.Ref.Ask(end, replica.Watch{ID: 1 << 60, From: from[0], MinBytes: 1, Deadline: end}, func(any, error) {})
		if timedOut() != 1 {
			t.Fatal("the control is not seen")
		}
	})
}

// Goal: a wait ends at once, with the reason, when its partition goes away, crashes, or the member closes;
// and a client that is gone gets its one answer. Method: each of them against a waiting fetch.
func TestFetchEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, 2, nil)
		zero := time.Now()
		waiting := func() (<-chan broker.Fetched, func()) {
			at, cancel := m.fetch(fetching(1, 12*time.Hour, 0, m.put(1, 1)+1))
			synctest.Wait()
			if len(at) != 0 {
				t.Fatalf("it does not wait: %+v", <-at)
			}
			return at, cancel
		}
		at, cancel := waiting()
		cancel()
		cancel()
		if a := <-at; a.Partitions[0].Err != nil {
			t.Fatal(a.Partitions[0].Err)
		}
		at, _ = waiting()
		m.panics.Store(&struct{}{})
		crash := m.send(broker.Produce{Topic: "t", Acks: -1, Frame: frame(1)})
		wantCode(t, "fetch at a crash", (<-at).Partitions[0].Err, fault.LeaderNotAvailable)
		wantCode(t, "produce at a crash", (<-crash).Err, fault.LeaderNotAvailable)
		<-time.After(time.Minute)
		id := m.table.Load().Topics["t"].ID
		f := fetching(1, 12*time.Hour, 1)
		at, _ = m.fetch(f)
		synctest.Wait()
		m.remove("t")
		wantCode(t, "topic deleted", (<-at).Partitions[0].Err, fault.UnknownTopicOrPartition)
		m.create("t", 2)
		f.Partitions[0].TopicID = id
		at, _ = m.fetch(f)
		wantCode(t, "by the old id", (<-at).Partitions[0].Err, fault.UnknownTopicID)
		wantCode(t, "produce by the old id",
			(<-m.send(broker.Produce{Topic: "t", TopicID: id, Acks: -1, Frame: frame(1)})).Err, fault.UnknownTopicID)
		if base := m.put(0, 1); base != 0 {
			t.Fatalf("the new topic begins at %d", base)
		}
		f = fetching(1, 12*time.Hour, 1)
		at, _ = m.fetch(f)
		synctest.Wait()
		m.system.Close()
		if a := <-at; a.Partitions[0].Err == nil || time.Since(zero) > time.Hour {
			t.Fatalf("member closed: %+v after %s", a.Partitions[0], time.Since(zero))
		}
		at, _ = m.fetch(f)
		wantCode(t, "after the close", (<-at).Partitions[0].Err, fault.LeaderNotAvailable)
	})
}

// Goal: a reader with another leader epoch, or with a log that has left this one's, is told. Method: epochs
// below and above the leader's, a last epoch that ended before the asked offset.
func TestFetchEpochs(t *testing.T) {
	m := start(t, 1, nil)
	m.put(0, 1)
	epoch := m.broker.Leader(record.TopicPartition{Topic: m.table.Load().Topics["t"].ID}).Epoch
	ask := func(epoch, last record.Epoch, from record.Offset) broker.FetchedPartition {
		f := fetching(1, 0, from)
		f.Partitions[0].Epoch, f.Partitions[0].LastEpoch = epoch, last
		at, _ := m.fetch(f)
		return (<-at).Partitions[0]
	}
	wantCode(t, "same", ask(epoch, record.NoEpoch, 0).Err, fault.None)
	wantCode(t, "older", ask(epoch-1, record.NoEpoch, 0).Err, fault.FencedLeaderEpoch)
	wantCode(t, "newer", ask(epoch+1, record.NoEpoch, 0).Err, fault.UnknownLeaderEpoch)
	wantCode(t, "above the log", ask(epoch, record.NoEpoch, 9).Err, fault.OffsetOutOfRange)
	if a := ask(epoch, epoch, 1); a.Diverging != nil || a.Err != nil {
		t.Fatalf("same log: %+v", a)
	}
	if a := ask(epoch, epoch-1, 1); a.Diverging == nil {
		t.Fatalf("a log that left: %+v", a)
	}
	q := []broker.OffsetQuery{{Topic: "t", TimestampMs: -1, Epoch: epoch + 1}}
	l := <-once(t, func(done func([]broker.OffsetAnswer)) { m.broker.ListOffsets(broker.Who{}, q, soon(), done) })
	wantCode(t, "list offsets", l[0].Err, fault.UnknownLeaderEpoch)
}

// Goal: whatever happens at the same time, each call is answered once. Method: readers, writers, cancels, and
// a topic that comes and goes, together.
func TestEverythingAtOnce(t *testing.T) {
	m := start(t, 3, nil)
	var left atomic.Int32
	done := make(chan struct{})
	run := func(n int, f func(i int)) {
		left.Add(1)
		go func() {
			for i := range n {
				f(i)
			}
			if left.Add(-1) == 0 {
				close(done)
			}
		}()
	}
	left.Add(1)
	for range 3 {
		run(150, func(i int) {
			at, cancel := m.fetch(fetching(1+i%300, time.Duration(i%4)*time.Millisecond, 0, record.Offset(i%3), 0))
			if i%3 == 0 {
				cancel()
			}
			<-at
		})
		run(150, func(i int) {
			<-m.send(broker.Produce{Topic: "t", Partition: record.Partition(i % 3), Acks: int8(i%3 - 1), Frame: frame(i)})
		})
	}
	run(10, func(int) {
		m.remove("t")
		m.create("t", 3)
	})
	if left.Add(-1) > 0 {
		<-done
	}
}
