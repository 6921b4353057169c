package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology"
)

// Goal: what a client does wrong has the right code, and a message that says what to do. Method: provoke each
// through the client of the member.
func TestRefusalsSayWhatToDo(t *testing.T) {
	m := start(t, cluster.Config{})
	ctx := testContext(t)
	c := m.Client()
	small := map[string]string{"max.message.bytes": "2000"}
	if _, err := c.CreateTopic(ctx, client.NewTopic{Name: "t", Configs: small}); err != nil {
		t.Fatal(err)
	}
	produce := func(topic string, size int) error {
		_, err := c.Produce(ctx, client.Record{Topic: topic, Value: make([]byte, size)})
		return err
	}
	create := func(n client.NewTopic) error {
		_, err := c.CreateTopic(ctx, n)
		return err
	}
	read := func(at record.Offset) error {
		k := c.Consumer()
		if err := k.Assign(ctx, "t", client.FromOffset(at)); err != nil {
			return err
		}
		_, err := k.Poll(ctx)
		return err
	}
	for name, test := range map[string]struct {
		err  error
		code fault.Code
		says string
	}{
		"unknown topic":     {produce("missing", 1), fault.UnknownTopicOrPartition, "create it"},
		"too large":         {produce("t", 5000), fault.RecordTooLarge, "max.message.bytes"},
		"bad offset":        {read(1 << 40), fault.OffsetOutOfRange, "earliest"},
		"exists":            {create(client.NewTopic{Name: "t"}), fault.TopicAlreadyExists, "t"},
		"bad name":          {create(client.NewTopic{Name: "a b"}), fault.InvalidTopic, "a b"},
		"internal":          {create(client.NewTopic{Name: "__consumer_offsets"}), fault.InvalidTopic, "internal"},
		"replicas":          {create(client.NewTopic{Name: "r", Replicas: 2}), fault.InvalidReplicationFactor, "use 1"},
		"unknown key":       {create(client.NewTopic{Name: "k", Configs: map[string]string{"retention.m": "1"}}), fault.InvalidConfig, "retention.ms"},
		"unsupported value": {create(client.NewTopic{Name: "k", Configs: map[string]string{"cleanup.policy": "compcat"}}), fault.InvalidConfig, "compact"},
	} {
		if test.err == nil || fault.CodeOf(test.err) != test.code || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("%s: code %q, want %q with %q in: %v", name, fault.CodeOf(test.err), test.code, test.says, test.err)
		}
	}
}

// Goal: Run says which topics are missing and where the program names them; a policy that fails ends Run with
// the position. Method: run both.
func TestRunRefusals(t *testing.T) {
	m := start(t, cluster.Config{})
	ctx := testContext(t)
	in := topology.NewTopic[string, int64]("numbers", nil, nil)
	b := topology.NewBuilder("doubler")
	topology.MapValues(topology.From(b, in, topology.FromEarliest()), func(n int64) int64 { return 2 * n }).ForEach(func(string, int64) {})
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	err = m.Run(ctx, topo)
	if !errors.Is(err, fault.UnknownTopicOrPartition) || !strings.Contains(err.Error(), "refusal_test.go:") {
		t.Fatalf("a missing source: %v", err)
	}
	if _, err := m.Client().CreateTopic(ctx, client.NewTopic{Name: "numbers"}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Client().Produce(ctx, client.Record{Topic: "numbers", Value: []byte("not eight bytes")}); err != nil {
		t.Fatal(err)
	}
	err = m.Run(ctx, topo)
	if err == nil || !strings.Contains(err.Error(), "numbers/0@0") {
		t.Fatalf("a record that is no number: %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := m.Run(stopped, topo); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("a run that is over before it begins: %v", err)
	}
}
