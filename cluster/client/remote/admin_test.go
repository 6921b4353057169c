package remote_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// transcripts holds what the same calls gave over each transport.
type transcripts struct {
	mu    sync.Mutex
	name  string
	lines []string
}

func newTranscripts() *transcripts { return &transcripts{} }

// check compares with the transport that was first.
func (s *transcripts) check(w *world, lines []string) {
	w.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name == "" {
		s.name, s.lines = w.t.Name(), lines
		return
	}
	for i := range max(len(lines), len(s.lines)) {
		var mine, other string
		if i < len(lines) {
			mine = lines[i]
		}
		if i < len(s.lines) {
			other = s.lines[i]
		}
		if mine != other {
			w.t.Errorf("line %d\n here: %s\n %s: %s", i, mine, s.name, other)
		}
	}
}

// Goal: topics are made, described, changed, grown, trimmed and removed with the same answers over every transport.
// Method: one transcript each.
func TestTopicAdmin(t *testing.T) {
	same := newTranscripts()
	forEach(t, cluster.Config{DefaultPartitions: 2}, func(w *world) {
		c, ctx := w.client(), within(t)
		var lines []string
		say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		create := func(n client.NewTopic) {
			a, err := c.CreateTopic(ctx, n)
			say("create %s: %s, %d partitions, id %v, %s", n.Name, a.Name, a.Partitions, a.ID != record.TopicID{}, told(err))
		}
		create(client.NewTopic{Name: "a"})
		create(client.NewTopic{Name: "b", Partitions: 3, Configs: map[string]string{"retention.ms": "3600000"}})
		create(client.NewTopic{Name: "a"})
		create(client.NewTopic{Name: "bad name"})
		create(client.NewTopic{Name: "c", Partitions: 20_000})
		create(client.NewTopic{Name: "c", Partitions: 1, Replicas: 3})
		create(client.NewTopic{Name: "c", Configs: map[string]string{"retention.ms": "soon", "no.such.key": "1"}})
		all, err := c.Topics(ctx)
		say("topics: %s", told(err))
		for _, m := range all {
			say("%s, internal %v, %d partitions, leader %d, %d replicas, %s", m.Name, m.Internal, len(m.Partitions), m.Partitions[0].Leader,
				len(m.Partitions[0].Replicas), told(m.Err))
		}
		some, err := c.Topics(ctx, "b", "nope")
		say("some: %d, %s, %s", len(some[0].Partitions), told(some[1].Err), told(err))
		_, err = c.Topic(ctx, "nope")
		say("topic: %s", told(err))
		configs(w, c, say)
		say("grow: %s", told(c.AddPartitions(ctx, "a", 4)))
		say("shrink: %s", told(c.AddPartitions(ctx, "a", 1)))
		say("grow nothing: %s", told(c.AddPartitions(ctx, "nope", 1)))
		m, err := c.Topic(ctx, "a")
		say("grown: %d, %s", len(m.Partitions), told(err))
		trim(w, c, say)
		say("delete: %s", told(c.DeleteTopic(ctx, "b")))
		say("delete: %s", told(c.DeleteTopic(ctx, "b")))
		same.check(w, lines)
	})
}

// configs reads and changes the configuration of b.
func configs(w *world, c *client.Client, say func(string, ...any)) {
	ctx := within(w.t)
	retention := func() string {
		all, err := c.DescribeConfigs(ctx, "b")
		if err != nil || !slices.IsSortedFunc(all, func(a, b client.ConfigEntry) int { return strings.Compare(a.Key, b.Key) }) {
			w.t.Error(err)
		}
		i := slices.IndexFunc(all, func(e client.ConfigEntry) bool { return e.Key == "retention.ms" })
		return fmt.Sprintf("%d keys, %+v", len(all), all[i])
	}
	say("configs: %s", retention())
	say("check: %s", told(c.CheckConfigs(ctx, client.ConfigChange{Topic: "b", Set: map[string]string{"retention.ms": "x"}})))
	say("check: %s", told(c.CheckConfigs(ctx, client.ConfigChange{Topic: "b", Set: map[string]string{"retention.ms": "5"}})))
	say("unchanged: %s", retention())
	say("alter: %s", told(c.AlterConfigs(ctx, client.ConfigChange{Topic: "b", Set: map[string]string{"retention.bytes": "1000000"},
		Delete: []string{"retention.ms"}})))
	say("altered: %s", retention())
	say("alter nothing: %s", told(c.AlterConfigs(ctx, client.ConfigChange{Topic: "nope", Delete: []string{"retention.ms"}})))
	_, err := c.DescribeConfigs(ctx, "nope")
	say("configs of nothing: %s", told(err))
}

// trim deletes records of a.
func trim(w *world, c *client.Client, say func(string, ...any)) {
	ctx := within(w.t)
	for range 5 {
		if _, err := c.Produce(ctx, client.Record{Topic: "a"}.At(1)); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, to := range []record.Offset{3, 2, 9, client.ToHighWatermark} {
		o, err := c.DeleteRecords(ctx, "a", 1, to)
		say("trim to %d: %d, %s", to, o, told(err))
	}
	_, err := c.DeleteRecords(ctx, "nope", 0, 1)
	say("trim nothing: %s", told(err))
	a, err := c.Offsets(ctx, client.OffsetQuery{Topic: "a", Partition: 1, TimestampMs: client.TimestampEarliest})
	say("start: %d, %s", a[0].Offset, told(err))
}

// Goal: committed positions are set, read, reset and forgotten from outside, with the same answers over every
// transport. Method: one transcript each.
func TestGroupAdmin(t *testing.T) {
	same := newTranscripts()
	forEach(t, cluster.Config{}, func(w *world) {
		c, ctx := w.client(), within(t)
		w.topic(c, "t", 2)
		for i := range 10 {
			if _, err := c.Produce(ctx, client.Record{Topic: "t", TimestampMs: int64(i+1) * 1000}.At(record.Partition(i%2))); err != nil {
				w.t.Fatal(err)
			}
		}
		at := func(p record.Partition, o record.Offset) client.GroupOffset {
			return client.GroupOffset{TopicPartition: client.TopicPartition{Topic: "t", Partition: p}, Offset: o, LeaderEpoch: record.NoEpoch, Metadata: "mine"}
		}
		var lines []string
		say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		offsets := func(parts ...client.TopicPartition) {
			o, err := c.GroupOffsets(ctx, "g", parts...)
			say("offsets: %+v, %s", o, told(err))
		}
		offsets()
		_, err := c.PlanReset(ctx, "g", client.Reset{To: client.FromEarliest()})
		say("reset nothing: %s", told(err))
		say("set: %s", told(c.SetGroupOffsets(ctx, "g", at(0, 3), at(1, 4))))
		say("set elsewhere: %s", told(c.SetGroupOffsets(ctx, "g", at(7, 3))))
		say("set nothing: %s", told(c.SetGroupOffsets(ctx, "", at(0, 3))))
		offsets()
		offsets(at(1, 0).TopicPartition, client.TopicPartition{Topic: "u"})
		groups, err := c.Groups(ctx)
		say("groups: %+v, %s", groups, told(err))
		d, err := c.DescribeGroup(ctx, "g")
		say("group: %s %s %q %d, %s", d.Name, d.State, d.ProtocolType, len(d.Members), told(err))
		_, err = c.DescribeGroup(ctx, "nope")
		say("no group: %s", told(err))
		resets(w, c, say)
		offsets()
		say("forget: %s", told(c.DeleteGroupOffsets(ctx, "g", at(0, 0).TopicPartition)))
		say("forget nothing: %s", told(c.DeleteGroupOffsets(ctx, "nope", at(0, 0).TopicPartition)))
		offsets()
		say("delete: %s", told(c.DeleteGroup(ctx, "g")))
		say("delete: %s", told(c.DeleteGroup(ctx, "g")))
		same.check(w, lines)
	})
}

// resets moves the positions of group g to and fro.
func resets(w *world, c *client.Client, say func(string, ...any)) {
	ctx := within(w.t)
	for _, r := range []client.Reset{
		{}, {To: client.FromEarliest()}, {To: client.FromLatest()}, {To: client.FromOffset(2)}, {To: client.FromOffset(200)},
		{Shift: -2}, {Shift: 100}, {To: client.FromLast(1), Parts: []client.TopicPartition{{Topic: "t", Partition: 1}}},
		{To: client.FromEarliest(), Parts: []client.TopicPartition{{Topic: "u", Partition: 1}}},
	} {
		moves, err := c.PlanReset(ctx, "g", r)
		say("plan %s %d: %+v, %s", r.To, r.Shift, moves, told(err))
	}
	before, err := c.GroupOffsets(ctx, "g")
	if err != nil || before[0].Offset != 3 {
		w.t.Error("a plan changed something")
	}
	moves, err := c.ResetGroup(ctx, "g", client.Reset{Shift: -1})
	say("reset: %+v, %s", moves, told(err))
}

// Goal: the same group has the same members, positions and refusals over every transport. Method: two members share a
// topic, one goes, the other goes on from what was committed.
func TestGroupMembers(t *testing.T) {
	forEach(t, cluster.Config{}, func(w *world) {
		c, ctx := w.client(), within(t)
		w.topic(c, "t", 4)
		w.produce(c, "t", 0, 400)
		first := newMember(w, "t")
		second := newMember(w, "t")
		eventually(w.t, "each member has two partitions", func() bool { return first.has() == 2 && second.has() == 2 })
		d, err := c.DescribeGroup(ctx, "g")
		if err != nil || d.State != "Stable" || len(d.Members) != 2 {
			w.t.Errorf("%+v, %v", d, err)
		}
		if err := c.DeleteGroup(ctx, "g"); !errors.Is(err, fault.NonEmptyGroup) {
			w.t.Error(err)
		}
		err = c.SetGroupOffsets(ctx, "g", client.GroupOffset{TopicPartition: client.TopicPartition{Topic: "t"}, Offset: 1})
		if !errors.Is(err, fault.UnknownMember) {
			w.t.Error(err)
		}
		w.produce(c, "t", 400, 800)
		eventually(w.t, "all records are read", func() bool { return first.read()+second.read() >= 800 })
		first.stop()
		eventually(w.t, "the other has all partitions", func() bool { return second.has() == 4 })
		w.produce(c, "t", 800, 1000)
		eventually(w.t, "all records are read", func() bool { return first.read()+second.read() >= 1000 })
		second.stop()
		if err := inOrderEach(1000, first.records, second.records); err != nil {
			w.t.Error(err)
		}
		third := newMember(w, "t")
		w.produce(c, "t", 1000, 1010)
		eventually(w.t, "only what is new is read", func() bool { return third.read() >= 10 })
		third.stop()
		if n := third.read(); n != 10 {
			w.t.Errorf("%d records were read again", n-10)
		}
	})
}
