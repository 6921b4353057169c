package remote_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: logs, the cluster and a group's members and journal are told the same over every transport. Method: one
// transcript each, without what differs from run to run; sizes and names are looked at apart.
func TestDescriptions(t *testing.T) {
	same := newTranscripts()
	forEach(t, cluster.Config{Kafka: ":0"}, func(w *world) {
		c, ctx := w.client(), within(t)
		var lines []string
		say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		w.topic(c, "t", 3)
		for i, p := range []record.Partition{0, 0, 0, 2} {
			if _, err := c.Produce(ctx, client.Record{Topic: "t", TimestampMs: int64(9-i) * 1000}.At(p)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.DeleteRecords(ctx, "t", 0, 1); err != nil {
			t.Fatal(err)
		}
		logs, err := c.DescribeLogs(ctx, "t")
		for p, l := range logs {
			say("log %d: [%d, %d), newest %d, any bytes %v, %s", p, l.Start, l.End, l.NewestMs, l.Bytes > 0, told(l.Err))
		}
		say("%d logs, %s", len(logs), told(err))
		_, err = c.DescribeLogs(ctx, "nope")
		if say("logs of nothing: %s", told(err)); !errors.Is(err, fault.UnknownTopicOrPartition) {
			t.Error(err)
		}
		d, err := c.Cluster(ctx)
		say("%d members, %s", len(d.Members), told(err))
		if d.ID != w.member.ClusterID() || d.Member != w.member.ID() || d.Controller != w.member.ID() ||
			len(d.Members) != 1 || d.Members[0].ID != w.member.ID() || d.Members[0].Kafka != w.member.KafkaAddr() {
			t.Errorf("the cluster is %+v", d)
		}
		m := newMember(w, "t")
		eventually(t, "the member has its partitions", func() bool { return m.has() == 3 })
		g, err := c.DescribeGroup(ctx, "g")
		say("coordinator %d, %s, %d members, %s", g.Coordinator, g.State, len(g.Members), told(err))
		for _, of := range g.Members {
			say("assigned %v", of.Partitions)
		}
		for _, j := range g.Journal {
			say("any time %v, generation %d, a member %v", j.At.UnixMilli() > 0, j.Generation, j.Member != "")
		}
		if len(g.Journal) == 0 || g.Journal[0].What == "" {
			t.Errorf("the journal is %+v", g.Journal)
		}
		m.stop()
		same.check(w, lines)
	})
}
