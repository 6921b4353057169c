package foreign

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: an application of Kafka Streams counts words through a repartition topic and a store with a changelog.
// Method: 200 records of the form none-N, the word none is counted up to 200.
func TestStreams(t *testing.T) {
	onJava(t, func(t *testing.T, run func(args ...string) *exec.Cmd) {
		s := harness.StartServer(t, t.TempDir(), "--groups-rebalance-delay", "0s")
		createTopic(t, s.Kafka(), "text", 2)
		createTopic(t, s.Kafka(), "text-counts", 1)
		play(t, "writer", run("produce", s.Kafka(), "text", "none", "200"), nil).end()
		app := play(t, "application", run("streams", s.Kafka(), "text", t.TempDir()), nil)
		c, err := kgo.NewClient(kgo.SeedBrokers(s.Kafka()), kgo.ConsumeTopics("text-counts"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx := withLimit(t)
		for count := ""; count != "200"; {
			fetches := c.PollFetches(ctx)
			if err := fetches.Err(); err != nil || !app.running() {
				t.Fatalf("none was counted up to %q: %v, %s", count, errors.Join(err, context.Cause(ctx)), app.log())
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if string(r.Key) == "none" {
					count = string(r.Value)
				}
			})
		}
		app.stop()
		s.Stop()
	})
}

// Goal: a client that asks for the consumer protocol of KIP-848 is told by its own library that it is not there.
// Method: subscribe with group.protocol=consumer.
func TestConsumerProtocolIsRefused(t *testing.T) {
	onJava(t, func(t *testing.T, run func(args ...string) *exec.Cmd) {
		s := harness.StartServer(t, t.TempDir())
		createTopic(t, s.Kafka(), "any", 1)
		c := play(t, "consumer", run("newprotocol", s.Kafka(), "any"), nil)
		c.end()
		if got := strings.Join(c.facts("ok"), " "); !strings.Contains(got, "refused: The ") {
			t.Fatalf("%s", c.log())
		}
		s.Stop()
	})
}

func onJava(t *testing.T, f func(t *testing.T, run func(args ...string) *exec.Cmd)) {
	for _, c := range clients() {
		if strings.HasPrefix(c.name, "java-") {
			t.Run(c.name, func(t *testing.T) { f(t, c.command(t, &c)) })
		}
	}
}
