package conformance

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/tests/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Remove()
	os.Exit(code)
}

// limit bounds the waits of one test; it is generous, because the machine may be busy.
const limit = 2 * time.Minute

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// onEach runs a test against a member in this process and against kfake.
func onEach(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("millstream", func(t *testing.T) { test(t, startMember(t)) })
	t.Run("kfake", func(t *testing.T) {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		test(t, c.ListenAddrs()[0])
	})
}

// startMember runs a member in this process and returns the address of its Kafka door.
func startMember(t *testing.T) string {
	t.Helper()
	m, err := cluster.Start(testContext(t), cluster.Config{
		DataDir: t.TempDir(), Kafka: "127.0.0.1:0", AutoCreateTopics: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m.KafkaAddr()
}

func newClient(t *testing.T, address string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newAdmin(t *testing.T, address string) *kadm.Client {
	t.Helper()
	return kadm.NewClient(newClient(t, address))
}

// createTopic makes a topic and fails the test where that is refused.
func createTopic(t *testing.T, address, name string, partitions int32) {
	t.Helper()
	if _, err := newAdmin(t, address).CreateTopic(testContext(t), partitions, 1, nil, name); err != nil {
		t.Fatal(err)
	}
}
