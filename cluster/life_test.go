package cluster_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: two members with directories of their own live in one process and know nothing of each other. Method:
// start both, write to one, look at the other.
func TestTwoMembersInOneProcess(t *testing.T) {
	ctx := testContext(t)
	one, two := start(t, cluster.Config{Kafka: ":0"}), start(t, cluster.Config{Kafka: ":0"})
	if one.KafkaAddr() == two.KafkaAddr() || one.ClusterID() == two.ClusterID() {
		t.Fatalf("both are %s in cluster %s", one.KafkaAddr(), one.ClusterID())
	}
	if _, err := one.Client().CreateTopic(ctx, client.NewTopic{Name: "mine"}); err != nil {
		t.Fatal(err)
	}
	if topics, err := two.Client().Topics(ctx); err != nil || len(topics) != 0 {
		t.Fatalf("the other member has %v, error %v", topics, err)
	}
}

// Goal: a directory belongs to one member at a time. Method: start a second one on it while the first runs,
// and again after it has gone.
func TestDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	first := start(t, cluster.Config{DataDir: dir})
	if _, err := cluster.Start(testContext(t), cluster.Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("a second member on the same directory: %v", err)
	}
	id := first.ClusterID()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if again := start(t, cluster.Config{DataDir: dir}); again.ClusterID() != id {
		t.Fatalf("the cluster was %s, is %s", id, again.ClusterID())
	}
}

// Goal: the zero Config works, and its temporary directory goes at Close, which may be called again. Method:
// look at it before and after.
func TestZeroConfig(t *testing.T) {
	m, err := cluster.Start(testContext(t), cluster.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(m.DataDir()); err != nil || m.KafkaAddr() != "" {
		t.Fatalf("data directory: %v, door %q", err, m.KafkaAddr())
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(m.DataDir()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the temporary directory is still there: %v", err)
	}
}

// Goal: a member file with one damaged copy serves; one without a whole copy, or none, is named and never replaced.
// Method: break one copy, then both, then remove the file.
func TestMemberFileIsChecked(t *testing.T) {
	dir := t.TempDir()
	m := start(t, cluster.Config{DataDir: dir})
	id := m.ClusterID()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "member")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[9] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if m = start(t, cluster.Config{DataDir: dir}); m.ClusterID() != id {
		t.Fatalf("a member file with one copy: cluster %s, was %s", m.ClusterID(), id)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(testContext(t), cluster.Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatalf("a damaged member file: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(testContext(t), cluster.Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "no member file") {
		t.Fatalf("a missing member file: %v", err)
	}
}

// Goal: a configuration is refused as a whole, each fault with its field. Method: several faults at once.
func TestValidateNamesEveryField(t *testing.T) {
	err := cluster.Config{
		Kafka: "0.0.0.0:9092", AdvertisedKafka: "nowhere", DefaultPartitions: -1, TaskWorkers: -2, BucketBytes: 5,
	}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{"Kafka", "AdvertisedKafka", "DefaultPartitions", "TaskWorkers", "BucketBytes"} {
		if !strings.Contains(err.Error(), "cluster.Config."+field+":") {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
	if err := (cluster.Config{Kafka: "0.0.0.0:9092", Insecure: true}).Validate(); err != nil {
		t.Errorf("insecure, and still refused: %v", err)
	}
}

// Goal: a start that fails leaves nothing behind. Method: a port that is taken; the directory can be used at
// once.
func TestFailedStartLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	first := start(t, cluster.Config{Kafka: ":0"})
	if _, err := cluster.Start(testContext(t), cluster.Config{DataDir: dir, Kafka: first.KafkaAddr()}); err == nil {
		t.Fatal("a taken port was accepted")
	}
	start(t, cluster.Config{DataDir: dir})
}

// Goal: first use by a producer makes a topic where that is allowed; looking at one, or reading it, never
// does. Method: a member with AutoCreateTopics; read and look first, then write, delete, and look again.
func TestOnlyProducersMakeTopics(t *testing.T) {
	ctx := testContext(t)
	c := start(t, cluster.Config{AutoCreateTopics: true}).Client()
	if err := c.Consumer().Assign(ctx, "fresh", client.FromEarliest()); !errors.Is(err, fault.UnknownTopicOrPartition) {
		t.Fatalf("reading a topic that is not there: %v", err)
	}
	if _, err := c.Produce(ctx, client.Record{Topic: "fresh", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteTopic(ctx, "fresh"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Topic(ctx, "fresh"); !errors.Is(err, fault.UnknownTopicOrPartition) {
		t.Fatalf("looking at a deleted topic: %v", err)
	}
	if o, err := c.Produce(ctx, client.Record{Topic: "fresh", Value: []byte("v")}); err != nil || o != 0 {
		t.Fatalf("writing to a deleted topic: offset %d, %v", o, err)
	}
}
