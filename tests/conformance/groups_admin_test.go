package conformance

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
)

func describe(t *testing.T, address, group string) kadm.DescribedGroup {
	t.Helper()
	d, err := newAdmin(t, address).DescribeGroups(testContext(t), group)
	if err != nil {
		t.Fatal(err)
	}
	return d[group]
}

// Goal: what operators do to groups works: list, describe, lag, reset, forget, delete, and what must not be
// done to a group in use is refused. Method: kadm, with a member and after it has left.
func TestGroupAdmin(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, a := testContext(t), newAdmin(t, address)
		createTopic(t, address, "orders", 2)
		produceNumbers(t, address, "orders", 0, 40)
		c := member(t, address, "billing", "orders", kgo.ClientID("the-client"))
		consumeNumbers(t, c, 40)
		produceNumbers(t, address, "orders", 40, 50)

		listed, err := a.ListGroups(ctx)
		if err != nil || listed["billing"].State != "Stable" || listed["billing"].ProtocolType != "consumer" {
			t.Fatalf("%+v, %v", listed, err)
		}
		if empty, err := a.ListGroups(ctx, "Empty"); err != nil || len(empty) != 0 {
			t.Errorf("listed as empty: %+v, %v", empty, err)
		}
		d := describe(t, address, "billing")
		if d.Err != nil || d.State != "Stable" || len(d.Members) != 1 || d.Members[0].ClientID != "the-client" ||
			len(d.AssignedPartitions()["orders"]) != 2 {
			t.Fatalf("%+v", d)
		}
		lags, err := a.Lag(ctx, "billing")
		if err != nil || lags["billing"].Lag.Total() != 10 {
			t.Fatalf("%+v, %v", lags, err)
		}
		refuseInUse(t, a)
		c.LeaveGroup()
		afterwards(t, address, a)
	})
}

// refuseInUse checks what may not be done to a group with members.
func refuseInUse(t *testing.T, a *kadm.Client) {
	t.Helper()
	ctx := testContext(t)
	deleted, err := a.DeleteGroups(ctx, "billing")
	if err != nil || !errors.Is(deleted["billing"].Err, kerr.NonEmptyGroup) {
		t.Errorf("delete: %+v, %v", deleted, err)
	}
	forgot, err := a.DeleteOffsets(ctx, "billing", kadm.TopicsSet{"orders": {0: {}}})
	if err != nil || !errors.Is(forgot["orders"][0], kerr.GroupSubscribedToTopic) {
		t.Errorf("forget: %+v, %v", forgot, err)
	}
	reset, err := a.CommitOffsets(ctx, "billing", offsetsOf("orders", 3))
	if err != nil || !errors.Is(reset.Error(), kerr.UnknownMemberID) {
		t.Errorf("reset: %+v, %v", reset, err)
	}
}

// offsetsOf is position at in both partitions of a topic.
func offsetsOf(topic string, at int64) kadm.Offsets {
	o := kadm.Offsets{}
	for p := range int32(2) {
		o.Add(kadm.Offset{Topic: topic, Partition: p, At: at, LeaderEpoch: -1, Metadata: "by hand"})
	}
	return o
}

func afterwards(t *testing.T, address string, a *kadm.Client) {
	t.Helper()
	ctx := testContext(t)
	reset, err := a.CommitOffsets(ctx, "billing", offsetsOf("orders", 3))
	if err != nil || reset.Error() != nil {
		t.Fatalf("reset: %+v, %v", reset, err)
	}
	fetched, err := a.FetchOffsets(ctx, "billing")
	if o, ok := fetched.Lookup("orders", 1); err != nil || !ok || o.At != 3 || o.Metadata != "by hand" {
		t.Errorf("fetched %+v, %v", fetched, err)
	}
	again := member(t, address, "billing", "orders")
	if got := consumeNumbers(t, again, 44); len(got) != 44 {
		t.Errorf("%d records from the reset position", len(got))
	}
	again.LeaveGroup()
	forgot, err := a.DeleteOffsets(ctx, "billing", kadm.TopicsSet{"orders": {0: {}}, "other": {7: {}}})
	if err != nil || forgot["orders"][0] != nil {
		t.Errorf("forget: %+v, %v", forgot, err)
	}
	fetched, err = a.FetchOffsets(ctx, "billing")
	if _, ok := fetched.Lookup("orders", 0); err != nil || ok || len(fetched["orders"]) != 1 {
		t.Errorf("after forgetting: %+v, %v", fetched, err)
	}
	deleted, err := a.DeleteGroups(ctx, "billing")
	if err != nil || deleted["billing"].Err != nil {
		t.Fatalf("delete: %+v, %v", deleted, err)
	}
	if twice, err := a.DeleteGroups(ctx, "billing"); err != nil || !errors.Is(twice["billing"].Err, kerr.GroupIDNotFound) {
		t.Errorf("delete twice: %+v, %v", twice, err)
	}
	if listed, err := a.ListGroups(ctx); err != nil || len(listed) != 0 {
		t.Errorf("listed after all: %+v, %v", listed, err)
	}
	if d := describe(t, address, "billing"); d.State != "Dead" && !errors.Is(d.Err, kerr.GroupIDNotFound) {
		t.Errorf("described after all: %+v", d)
	}
}

// Goal: a group that nobody knows has no positions, which is no error; Kafka answers so, and Java's admin
// client counts on it. Method: fetch, at the member only: kfake answers GROUP_ID_NOT_FOUND.
func TestUnknownGroupHasNoOffsets(t *testing.T) {
	a := newAdmin(t, startMember(t))
	for range 2 {
		o, err := a.FetchOffsets(testContext(t), "nobody")
		if err != nil || len(o) != 0 {
			t.Fatalf("%+v, %v", o, err)
		}
		if _, err := a.CommitOffsets(testContext(t), "somebody", kadm.Offsets{}); err != nil { // makes nothing
			t.Fatal(err)
		}
	}
	missing, err := a.CommitOffsets(testContext(t), "somebody", offsetsOf("no-such-topic", 1))
	if err != nil || !errors.Is(missing.Error(), kerr.UnknownTopicOrPartition) {
		t.Errorf("a position in no topic: %+v, %v", missing, err)
	}
}

// Goal: a tool may store a negative offset, as kafkajs does to reset a group; it is given back as it is, and members
// begin where their own settings say. Method: kadm, and a member from the start.
func TestNegativeOffset(t *testing.T) {
	onEach(t, func(t *testing.T, address string) {
		ctx, a := testContext(t), newAdmin(t, address)
		createTopic(t, address, "orders", 2)
		produceNumbers(t, address, "orders", 0, 10)
		for _, at := range []int64{7, -1, -2} {
			if reset, err := a.CommitOffsets(ctx, "billing", offsetsOf("orders", at)); err != nil || reset.Error() != nil {
				t.Fatalf("commit %d: %+v, %v", at, reset, err)
			}
			fetched, err := a.FetchOffsets(ctx, "billing")
			if o, ok := fetched.Lookup("orders", 1); err != nil || !ok || o.At != at || o.Metadata != "by hand" {
				t.Fatalf("fetched %+v, %v", fetched, err)
			}
		}
		lags, err := a.Lag(ctx, "billing")
		if err != nil || lags["billing"].Lag.Total() != 10 {
			t.Errorf("%+v, %v", lags, err)
		}
		if got := consumeNumbers(t, member(t, address, "billing", "orders"), 10); len(got) != 10 {
			t.Errorf("%d records", len(got))
		}
	})
}

// Goal: 100 groups work side by side although they share few partitions of the offsets topic. Method: a
// member each, at the same time, each reads everything and commits.
func TestManyGroups(t *testing.T) {
	const groups = 100
	address := startMember(t)
	createTopic(t, address, "many", 2)
	produceNumbers(t, address, "many", 0, 20)
	var running sync.WaitGroup
	for i := range groups {
		running.Go(func() {
			c := member(t, address, fmt.Sprint("group-", i), "many")
			consumeNumbers(t, c, 20)
			c.Close()
		})
	}
	running.Wait()
	lags, err := newAdmin(t, address).Lag(testContext(t))
	if err != nil || len(lags) != groups {
		t.Fatalf("%d groups, %v", len(lags), err)
	}
	for name, l := range lags {
		if l.Error() != nil || l.Lag.Total() != 0 || l.State != "Empty" {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// Goal: kcat's balanced consumers share a topic, go on where the ones before have committed, and another one
// takes over from one that was killed. Method: the real binary.
func TestKcatGroup(t *testing.T) {
	kcat := harness.Kcat(t)
	address := startMember(t)
	createTopic(t, address, "balanced", 4)
	read := func() []string {
		t.Helper()
		out, err := exec.Command(kcat, "-b", address, "-G", "kcats", "-X", "auto.offset.reset=earliest",
			"-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=200", "-e", "-q", "balanced").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	for i := range 3 {
		produceNumbers(t, address, "balanced", 100*i, 100*i+100)
		if got := read(); len(got) != 100 {
			t.Fatalf("round %d: %d records", i, len(got))
		}
	}
	killed := exec.Command(kcat, "-b", address, "-G", "kcats", "-X", "session.timeout.ms=6000", "-q", "balanced")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	harness.Await(t, limit, func() bool { return describe(t, address, "kcats").State == "Stable" }, "the first kcat is in")
	_ = killed.Process.Kill()
	_ = killed.Wait()
	produceNumbers(t, address, "balanced", 300, 400)
	begin := time.Now()
	if got := read(); len(got) != 100 {
		t.Fatalf("after a kill: %d records", len(got))
	}
	t.Logf("taken over %s after the kill", time.Since(begin))
}
