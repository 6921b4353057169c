package golang

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// Goal: sarama's administrator makes, describes, configures, grows, trims and deletes topics in each version.
// Method: one topic for each version through all of it; the answers are compared with what was asked for.
func TestSaramaAdmin(t *testing.T) {
	address := startMember(t).address
	for name, v := range saramaVersions() {
		t.Run(name, func(t *testing.T) {
			a := saramaAdmin(t, address, v)
			hour := "3600000"
			detail := &sarama.TopicDetail{
				NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &hour},
			}
			if err := a.CreateTopic("only-asked", detail, true); err != nil {
				t.Errorf("validate: %v", err)
			}
			if err := a.CreateTopic(name, detail, false); err != nil {
				t.Fatal(err)
			}
			if err := a.CreateTopic(name, detail, false); !errors.Is(err, sarama.ErrTopicAlreadyExists) {
				t.Errorf("made twice: %v", err)
			}
			if err := a.CreatePartitions(name, 3, nil, false); err != nil {
				t.Error(err)
			}
			listed, err := a.ListTopics()
			if err != nil || listed[name].NumPartitions != 3 || listed[name].ReplicationFactor != 1 ||
				*listed[name].ConfigEntries["retention.ms"] != hour || listed["only-asked"].NumPartitions != 0 {
				t.Errorf("listed %+v, %v", listed, err)
			}
			told, err := a.DescribeTopics([]string{name, "missing"})
			if err != nil || len(told) != 2 || told[0].Err != sarama.ErrNoError || len(told[0].Partitions) != 3 ||
				told[1].Err != sarama.ErrUnknownTopicOrPartition {
				t.Errorf("described %+v, %v", told, err)
			}
			brokers, controller, err := a.DescribeCluster()
			if err != nil || len(brokers) != 1 || brokers[0].ID() != controller || brokers[0].Addr() != address {
				t.Errorf("cluster %v, controller %d, %v", brokers, controller, err)
			}
			saramaConfigs(t, a, name, v)
			saramaRecords(t, a, address, name, v)
			if err := a.DeleteTopic(name); err != nil {
				t.Error(err)
			}
			if err := a.DeleteTopic(name); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
				t.Errorf("deleted twice: %v", err)
			}
		})
	}
}

// saramaConfigs describes and alters the configuration of a topic, both ways.
func saramaConfigs(t *testing.T, a sarama.ClusterAdmin, topic string, v sarama.KafkaVersion) {
	t.Helper()
	resource := &sarama.ConfigResource{Type: sarama.TopicResource, Name: topic}
	is := func(want string) {
		t.Helper()
		with := sarama.DescribeConfigsOptions{IncludeSynonyms: true}
		told, err := a.DescribeConfigs([]*sarama.ConfigResource{resource}, with)
		if err != nil || len(told) != 1 || len(told[0].Configs) < 10 {
			t.Fatalf("described %+v, %v", told, err)
		}
		at := slices.IndexFunc(told[0].Configs, func(c sarama.ConfigEntry) bool { return c.Name == "retention.ms" })
		if at < 0 || told[0].Configs[at].Value != want {
			t.Errorf("described %+v, want %s", told[0].Configs[at], want)
		}
	}
	value := func(s string) *string { return &s }
	two := map[string]*string{"retention.ms": value("7200000")}
	is("3600000")
	if err := a.AlterConfig(sarama.TopicResource, topic, two, true); err != nil {
		t.Error(err)
	}
	is("3600000")
	if err := a.AlterConfig(sarama.TopicResource, topic, two, false); err != nil {
		t.Error(err)
	}
	is("7200000")
	err := a.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.mss": value("1")}, false)
	if err == nil {
		t.Error("a key that is not there was set")
	}
	if !v.IsAtLeast(sarama.V2_3_0_0) {
		return
	}
	set := map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value("10800000")},
	}
	if err := a.IncrementalAlterConfig(sarama.TopicResource, topic, set, false); err != nil {
		t.Error(err)
	}
	is("10800000")
}

// saramaRecords writes records of known times, finds them by time, deletes some, and looks how large the log is.
func saramaRecords(t *testing.T, a sarama.ClusterAdmin, address, topic string, v sarama.KafkaVersion) {
	t.Helper()
	c := saramaConfig(v)
	c.Producer.Partitioner = sarama.NewManualPartitioner
	p, err := sarama.NewSyncProducer([]string{address}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range 10 {
		m := &sarama.ProducerMessage{
			Topic: topic, Partition: 1, Value: sarama.ByteEncoder(make([]byte, 1000)),
			Timestamp: begin.Add(time.Duration(i) * time.Second),
		}
		if _, at, err := p.SendMessage(m); err != nil || at != int64(i) {
			t.Fatalf("record %d is at %d, %v", i, at, err)
		}
	}
	at := func(when int64) int64 {
		t.Helper()
		r, err := a.ListOffsets(map[string]map[int32]int64{topic: {1: when}}, &sarama.ListOffsetsOptions{})
		if err != nil || r[topic][1] == nil || r[topic][1].Err != nil && !errors.Is(r[topic][1].Err, sarama.ErrNoError) {
			t.Fatalf("offsets %+v, %v", r, err)
		}
		return r[topic][1].Offset
	}
	from, to, by := at(sarama.OffsetOldest), at(sarama.OffsetNewest), at(begin.UnixMilli()+3500)
	if from != 0 || to != 10 || by != 4 {
		t.Errorf("from %d to %d, by time %d", from, to, by)
	}
	if err := a.DeleteRecords(topic, map[int32]int64{1: 6}); err != nil {
		t.Error(err)
	}
	if from := at(sarama.OffsetOldest); from != 6 {
		t.Errorf("after records were deleted it begins at %d", from)
	}
	if err := a.DeleteRecords(topic, map[int32]int64{1: 11}); err == nil {
		t.Error("records behind the end were deleted")
	}
	dirs, err := a.DescribeLogDirs([]int32{1})
	if err != nil || len(dirs[1]) != 1 || dirs[1][0].ErrorCode != sarama.ErrNoError {
		t.Fatalf("log dirs %+v, %v", dirs, err)
	}
	size := int64(-1)
	for _, d := range dirs[1][0].Topics {
		for _, part := range d.Partitions {
			if d.Topic == topic && part.PartitionID == 1 {
				size = part.Size
			}
		}
	}
	if size < 4000 || size > 12_000 { // four to ten batches of a thousand bytes
		t.Errorf("the partition is %d bytes large", size)
	}
}

// Goal: sarama's administrator lists, describes, moves, forgets and deletes groups in each version; what may not be
// done to a group in use is refused. Method: a group with a member and after it has left.
func TestSaramaGroupAdmin(t *testing.T) {
	address := startMember(t).address
	for name, v := range saramaVersions() {
		t.Run(name, func(t *testing.T) {
			a, l := saramaAdmin(t, address, v), newLedger()
			saramaCreate(t, address, name, 2)
			saramaWrite(t, address, name, l, saramaConfig(v), 0, 100)
			stop := saramaConsume(t, address, name, saramaConfig(v), &saramaMember{"only", name, l})
			await(t, func() bool {
				return l.caughtUp() && noteCommitted(t, l, a, name, name, 2) == 100
			}, "all to be committed")
			listed, err := a.ListConsumerGroups()
			if err != nil || listed[name] != "consumer" {
				t.Errorf("listed %v, %v", listed, err)
			}
			d := saramaDescribe(t, a, name)
			if d.State != "Stable" || len(d.Members) != 1 || d.ProtocolType != "consumer" || d.Protocol != "range" {
				t.Errorf("described %+v", d)
			}
			for _, m := range d.Members {
				share, err := m.GetMemberAssignment()
				if err != nil || len(share.Topics[name]) != 2 || m.ClientHost != "/127.0.0.1" || m.ClientId != "sarama" {
					t.Errorf("member %+v has %+v, %v", m, share, err)
				}
			}
			if err := a.DeleteConsumerGroup(name); !errors.Is(err, sarama.ErrNonEmptyGroup) {
				t.Errorf("delete a group in use: %v", err)
			}
			if v.IsAtLeast(sarama.V2_4_0_0) {
				if err := a.DeleteConsumerGroupOffset(name, name, 0); !errors.Is(err, sarama.ErrGroupSubscribedToTopic) {
					t.Errorf("forget a position in use: %v", err)
				}
			}
			stop()
			saramaEmptyGroup(t, a, name, v)
			l.check(t, true)
		})
	}
}

// saramaEmptyGroup does to a group without members what may be done to it; its topic has its name.
func saramaEmptyGroup(t *testing.T, a sarama.ClusterAdmin, group string, v sarama.KafkaVersion) {
	t.Helper()
	if d := saramaDescribe(t, a, group); d.State != "Empty" || len(d.Members) != 0 {
		t.Errorf("described %+v", d)
	}
	to := map[string]map[int32]sarama.OffsetAndMetadata{group: {0: {Offset: 3, Metadata: "by hand", LeaderEpoch: -1}}}
	moved, err := a.AlterConsumerGroupOffsets(group, to, &sarama.AlterConsumerGroupOffsetsOptions{})
	if err != nil || moved.Errors[group][0] != sarama.ErrNoError {
		t.Errorf("moved: %+v, %v", moved, err)
	}
	if at := saramaPositions(t, a, group, group, 2); at[0] != 3 {
		t.Errorf("moved to %v", at)
	}
	if v.IsAtLeast(sarama.V3_0_0_0) {
		all, err := a.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: nil, "nobody": nil})
		if err != nil || all[group] == nil || all[group].GetBlock(group, 0).Metadata != "by hand" || all["nobody"] == nil ||
			all["nobody"].Err != sarama.ErrNoError {
			t.Errorf("many at once: %+v, %v", all, err)
		}
	}
	if v.IsAtLeast(sarama.V2_4_0_0) {
		if err := a.DeleteConsumerGroupOffset(group, group, 0); err != nil {
			t.Error(err)
		}
		if at := saramaPositions(t, a, group, group, 2); at[0] != -1 {
			t.Errorf("a forgotten position is %v", at)
		}
	}
	if err := a.DeleteConsumerGroup(group); err != nil {
		t.Error(err)
	}
	if err := a.DeleteConsumerGroup(group); !errors.Is(err, sarama.ErrGroupIDNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}
