package golang

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// goReader is a member of a group.
func goReader(address, group, topic string, b kafka.GroupBalancer) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{address}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		GroupBalancers: []kafka.GroupBalancer{b}, HeartbeatInterval: 100 * time.Millisecond,
		SessionTimeout: 6 * time.Second, RebalanceTimeout: 10 * time.Second, JoinGroupBackoff: 200 * time.Millisecond,
		MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond,
	})
}

// goConsume runs a member of a group until it is stopped: it fetches, and commits every record. Records of a
// generation that is over may come before those of the next one, and be committed then: kafka-go does not tell them
// apart, so positions of its groups can go back when members come and go.
func goConsume(t *testing.T, l *ledger, address, group, topic string, b kafka.GroupBalancer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := goReader(address, group, topic, b)
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			m, err := r.FetchMessage(ctx)
			if err != nil {
				continue
			}
			l.took(int32(m.Partition), m.Offset, m.Key, m.Value)
			_ = r.CommitMessages(ctx, m) // what is not committed is read again
		}
	})
	return func() {
		cancel()
		running.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// temporary reports whether Kafka's protocol tells a client to try again.
func temporary(err error) bool {
	var code kafka.Error
	return errors.As(err, &code) && code.Temporary()
}

// goPositions returns the committed positions of a group, -1 where there is none.
func goPositions(t *testing.T, address, group, topic string, partitions int) map[int32]int64 {
	t.Helper()
	all := make([]int, partitions)
	for p := range all {
		all[p] = p
	}
	var r *kafka.OffsetFetchResponse
	k := goClient(t, address)
	await(t, func() bool { // after a start the coordinator may not be there at once, which this client passes on
		var err error
		r, err = k.OffsetFetch(testContext(t), &kafka.OffsetFetchRequest{
			GroupID: group, Topics: map[string][]int{topic: all},
		})
		if err == nil {
			err = r.Error
		}
		if err != nil && !temporary(err) {
			t.Fatalf("positions: %+v, %v", r, err)
		}
		return err == nil
	}, "the positions of %s", group)
	at := map[int32]int64{}
	for _, p := range r.Topics[topic] {
		if p.Error != nil {
			t.Fatalf("position of %d: %v", p.Partition, p.Error)
		}
		at[int32(p.Partition)] = p.CommittedOffset
	}
	return at
}

// goMembers is how many members a stable group has; -1 while it is not stable.
func goMembers(t *testing.T, address, group string) int {
	t.Helper()
	k := goClient(t, address)
	r, err := k.DescribeGroups(testContext(t), &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err == nil && len(r.Groups) == 1 {
		err = r.Groups[0].Error
	}
	if temporary(err) {
		return -1
	}
	if err != nil {
		t.Fatalf("described: %+v, %v", r, err)
	}
	if s := r.Groups[0].GroupState; s != "Stable" && s != "Empty" {
		return -1
	}
	return len(r.Groups[0].Members)
}

// Goal: a reader that starts again goes on exactly behind what the group has committed. Method: read and commit
// some, close, and look at the first records that the next reader of the group gets.
func TestKafkaGoGroupGoesOn(t *testing.T) {
	const partitions = 3
	address, ctx, l := startMember(t).address, testContext(t), newLedger()
	goCreate(t, address, "on", partitions)
	goWrite(t, goWriter(t, address, "on", nil), l, 0, 600)
	for round := range 3 {
		want := map[int32]int64{}
		if round > 0 {
			want = goPositions(t, address, "goes-on", "on", partitions)
		}
		r := goReader(address, "goes-on", "on", kafka.RangeGroupBalancer{})
		for range 200 {
			m, err := r.FetchMessage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			p := int32(m.Partition)
			if at, ok := want[p]; ok && at >= 0 && m.Offset != at {
				t.Fatalf("round %d: partition %d goes on at %d, %d was committed", round, p, m.Offset, at)
			}
			delete(want, p)
			l.took(p, m.Offset, m.Key, m.Value)
			if err := r.CommitMessages(ctx, m); err != nil {
				t.Fatal(err)
			}
			l.committed(p, m.Offset+1)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if l.check(t, true); l.again > 0 {
		t.Errorf("%d committed records were read again", l.again)
	}
}

// Goal: while readers of a group join and leave under load, nothing is skipped, under each way to share. Method:
// up to three readers, a producer beside them; in the end everything is read and committed.
func TestKafkaGoGroupUnderLoad(t *testing.T) {
	const partitions = 6
	address := startMember(t).address
	for _, b := range []kafka.GroupBalancer{kafka.RangeGroupBalancer{}, kafka.RoundRobinGroupBalancer{}} {
		name := b.ProtocolName()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			goCreate(t, address, name, partitions)
			w := goWriter(t, address, name, nil)
			join := func() (stop func()) { return goConsume(t, l, address, "g-"+name, name, b) }
			size := func(n int) {
				t.Helper()
				await(t, func() bool { return goMembers(t, address, "g-"+name) == n }, "%d members", n)
			}
			goWrite(t, w, l, 0, 200)
			first := join()
			size(1)
			second, third := join(), join()
			goWrite(t, w, l, 200, 400)
			size(3)
			first()
			goWrite(t, w, l, 400, 600)
			size(2)
			await(t, l.caughtUp, "all records of %s", name)
			second()
			third()
			size(0)
			l.check(t, true)
		})
	}
}

// Goal: kill -9 of the member under kafka-go: what was acknowledged is there, keys are in order, and the group goes
// on behind what was committed. Method: a writer and a reader that live through two kills; positions that were seen
// before each are compared with those after it.
func TestKafkaGoKill(t *testing.T) {
	const partitions = 3
	m, l := startMember(t), newLedger()
	goCreate(t, m.address, "killed", partitions)
	w := goWriter(t, m.address, "killed", nil)
	stop := goConsume(t, l, m.address, "survivors", "killed", kafka.RangeGroupBalancer{})
	for round := range 2 {
		written := make(chan struct{})
		go func() {
			defer close(written)
			goWrite(t, w, l, 1000*round, 1000*round+1000)
		}()
		await(t, func() bool { _, read := l.counts(); return read > 1000*round+200 }, "some records of round %d", round)
		before := goPositions(t, m.address, "survivors", "killed", partitions)
		m.crash()
		after := goPositions(t, m.address, "survivors", "killed", partitions)
		for p, at := range before {
			if after[p] < at {
				t.Errorf("round %d: partition %d is at %d, it was at %d", round, p, after[p], at)
			}
		}
		<-written
		await(t, l.caughtUp, "all records of round %d", round)
	}
	await(t, func() bool {
		var total int64
		for _, at := range goPositions(t, m.address, "survivors", "killed", partitions) {
			total += at
		}
		_, read := l.counts()
		return total == int64(read)
	}, "everything to be committed")
	stop()
	l.check(t, false)
}

// Goal: kafka-go's requests about groups do what they say. Method: commit without a group's members, fetch, list,
// describe, forget one position, delete the group.
func TestKafkaGoGroupAdmin(t *testing.T) {
	address, ctx := startMember(t).address, testContext(t)
	k := goClient(t, address)
	goCreate(t, address, "admin", 2)
	none, err := k.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: "nobody", Topics: map[string][]int{"admin": {0}}})
	if err != nil || none.Error != nil || len(none.Topics["admin"]) != 1 || none.Topics["admin"][0].CommittedOffset != -1 {
		t.Errorf("a group that is not there: %+v, %v", none, err)
	}
	set, err := k.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: "tool", GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{
			"admin": {{Partition: 0, Offset: 7, Metadata: "by hand"}, {Partition: 1, Offset: 9}},
		},
	})
	if err != nil || len(set.Topics["admin"]) != 2 || set.Topics["admin"][0].Error != nil {
		t.Fatalf("%+v, %v", set, err)
	}
	got, err := k.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: "tool", Topics: map[string][]int{"admin": {0}}})
	if err != nil || got.Topics["admin"][0].CommittedOffset != 7 || got.Topics["admin"][0].Metadata != "by hand" {
		t.Errorf("%+v, %v", got, err)
	}
	listed, err := k.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil || listed.Error != nil || len(listed.Groups) != 1 || listed.Groups[0].GroupID != "tool" {
		t.Errorf("%+v, %v", listed, err)
	}
	if n := goMembers(t, address, "tool"); n != 0 {
		t.Errorf("%d members", n)
	}
	forgot, err := k.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: "tool", Topics: map[string][]int{"admin": {1}}})
	if err != nil || forgot.Error != nil || forgot.Topics["admin"][0].Error != nil {
		t.Errorf("%+v, %v", forgot, err)
	}
	if at := goPositions(t, address, "tool", "admin", 2); at[0] != 7 || at[1] != -1 {
		t.Errorf("positions %v", at)
	}
	deleted, err := k.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{"tool", "nobody"}})
	if err != nil || deleted.Errors["tool"] != nil || !errors.Is(deleted.Errors["nobody"], kafka.GroupIdNotFound) {
		t.Errorf("%+v, %v", deleted, err)
	}
}
