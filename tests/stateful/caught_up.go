package stateful

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millstream-io/millstream/tests/harness"
)

// repartitioned ends the names of topics between sub-topologies.
const repartitioned = "-repartition"

// AwaitCaughtUp waits until the tasks have committed all that is in the topics they read. What is written out does not
// tell: it may be from an earlier life, which came to no commit behind it. Nobody may feed meanwhile.
func AwaitCaughtUp(t testing.TB, s *harness.Server) {
	t.Helper()
	AwaitRunning(t, s)
	c := connect(t, s.Kafka())
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	admin := kadm.NewClient(c)
	all, err := admin.ListTopics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var between []string
	for _, name := range all.Names() {
		if strings.HasSuffix(name, repartitioned) {
			between = append(between, name)
		}
	}
	if len(between) == 0 {
		t.Fatalf("no topic between sub-topologies is among %v", all.Names())
	}
	// Once the first are done nothing more is written to the second.
	for _, topics := range [][]string{{OrdersTopic, CustomersTopic}, between} {
		harness.Await(t, limit, func() bool { return behind(ctx, t, admin, topics) == 0 }, "all of %v to be committed", topics)
	}
}

// behind is how many records of topics the application has not committed.
func behind(ctx context.Context, t testing.TB, admin *kadm.Client, topics []string) (n int64) {
	t.Helper()
	committed, err1 := admin.FetchOffsets(ctx, appName)
	ends, err2 := admin.ListEndOffsets(ctx, topics...)
	if err := errors.Join(err1, err2, ends.Error()); err != nil {
		t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		at, _ := committed.Lookup(end.Topic, end.Partition) // 0 where nothing was ever committed
		n += end.Offset - at.At
	})
	return n
}
