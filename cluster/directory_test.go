package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/millstream-io/millstream/actors"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: a crash of the metadata replica costs no partition its life, and topics can be made again soon.
// Method: let it write to a class that does not exist; the partitions must be the same activations
// afterwards, with all that they held.
func TestMetadataReplicaCrashes(t *testing.T) {
	m, _, end := portsOn(t)
	defer end()
	m.makeTopic(t, "out")
	if _, err := m.Client().Produce(t.Context(), client.Record{Topic: "out", Value: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	before := map[record.TopicPartition]actors.Ref{}
	for tp, p := range m.directory.here.Load().at {
		before[tp] = *p.ref.Load()
	}
	meta := before[record.TopicPartition{}]
	meta.Tell(partition.Configure{Settings: partition.Settings{Class: state.ClassCount}})
	var err error
	tries := 0
	for end := time.Now().Add(groupLimit); time.Now().Before(end); tries++ {
		if _, err = m.Client().CreateTopic(t.Context(), client.NewTopic{Name: "next"}); err == nil || !fault.CodeOf(err).Retryable() {
			break
		}
	}
	if err != nil && !errors.Is(err, fault.TopicAlreadyExists) || tries == 0 {
		t.Fatalf("after %d failed tries: %v", tries, err)
	}
	for tp, ref := range before {
		if now := m.directory.here.Load().at[tp]; now == nil || *now.ref.Load() != ref {
			t.Errorf("partition %s was started again", tp)
		}
	}
	if _, err := m.Client().Produce(t.Context(), client.Record{Topic: "out", Value: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if n := m.end(t, "out"); n != 2 {
		t.Fatalf("%d records", n)
	}
}
