package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/cluster/client/remote"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// door is one way into a member. Errors are told as the numbers of the Kafka protocol, the only ones that all share.
type door interface {
	create(ctx context.Context, topic string, partitions int) error
	remove(ctx context.Context, topic string) error
	partitions(ctx context.Context, topic string) (int, error)
	produce(ctx context.Context, topic string, partition int32, value string) (offset int64, err error)
	ends(ctx context.Context, topic string, partition int32) (first, behind int64, err error)
	trim(ctx context.Context, topic string, partition int32, to int64) error
	commit(ctx context.Context, group, topic string, partition int32, offset int64) error
	committed(ctx context.Context, group, topic string, partition int32) (int64, error)
	groups(ctx context.Context) ([]string, error)
	forget(ctx context.Context, group string) error
}

// native is the client of this project, over either of its transports.
type native struct{ *client.Client }

func (n native) create(ctx context.Context, topic string, partitions int) error {
	_, err := n.CreateTopic(ctx, client.NewTopic{Name: topic, Partitions: partitions})
	return err
}

func (n native) remove(ctx context.Context, topic string) error { return n.DeleteTopic(ctx, topic) }

func (n native) partitions(ctx context.Context, topic string) (int, error) {
	t, err := n.Topics(ctx, topic)
	if err != nil {
		return 0, err
	}
	return len(t[0].Partitions), t[0].Err
}

func (n native) produce(ctx context.Context, topic string, partition int32, value string) (int64, error) {
	o, err := n.Produce(ctx, client.Record{Topic: topic, Partition: record.Partition(partition), Value: []byte(value)})
	return int64(o), err
}

func (n native) ends(ctx context.Context, topic string, partition int32) (first, behind int64, err error) {
	p := record.Partition(partition)
	a, err := n.Offsets(ctx, client.OffsetQuery{Topic: topic, Partition: p, TimestampMs: client.TimestampEarliest},
		client.OffsetQuery{Topic: topic, Partition: p, TimestampMs: client.TimestampLatest})
	if err != nil {
		return 0, 0, err
	}
	return int64(a[0].Offset), int64(a[1].Offset), a[0].Err
}

func (n native) trim(ctx context.Context, topic string, partition int32, to int64) error {
	_, err := n.DeleteRecords(ctx, topic, record.Partition(partition), record.Offset(to))
	return err
}

func (n native) commit(ctx context.Context, group, topic string, partition int32, offset int64) error {
	return n.SetGroupOffsets(ctx, group, client.GroupOffset{
		TopicPartition: client.TopicPartition{Topic: topic, Partition: record.Partition(partition)},
		Offset:         record.Offset(offset), LeaderEpoch: record.NoEpoch,
	})
}

func (n native) committed(ctx context.Context, group, topic string, partition int32) (int64, error) {
	o, err := n.GroupOffsets(ctx, group, client.TopicPartition{Topic: topic, Partition: record.Partition(partition)})
	if err != nil {
		return 0, err
	}
	return int64(o[0].Offset), nil
}

func (n native) groups(ctx context.Context) (names []string, err error) {
	all, err := n.Groups(ctx)
	for _, g := range all {
		names = append(names, g.Name)
	}
	return names, err
}

func (n native) forget(ctx context.Context, group string) error { return n.DeleteGroup(ctx, group) }

// foreign is franz-go.
type foreign struct {
	c  *kgo.Client
	ad *kadm.Client
}

func (f foreign) create(ctx context.Context, topic string, partitions int) error {
	_, err := f.ad.CreateTopic(ctx, int32(partitions), 1, nil, topic)
	return err
}

func (f foreign) remove(ctx context.Context, topic string) error {
	_, err := f.ad.DeleteTopic(ctx, topic)
	return err
}

func (f foreign) partitions(ctx context.Context, topic string) (int, error) {
	r := kmsg.NewPtrMetadataRequest() // by hand: what the client lists may be remembered
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	r.Topics = append(r.Topics, t)
	a, err := r.RequestWith(ctx, f.c)
	if err != nil {
		return 0, err
	}
	return len(a.Topics[0].Partitions), kerr.ErrorForCode(a.Topics[0].ErrorCode)
}

func (f foreign) produce(ctx context.Context, topic string, partition int32, value string) (int64, error) {
	r, err := f.c.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}).First()
	if err != nil {
		return 0, err
	}
	return r.Offset, nil
}

func (f foreign) ends(ctx context.Context, topic string, partition int32) (first, behind int64, err error) {
	a, err := f.ad.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	b, err := f.ad.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	start, ok := a.Lookup(topic, partition)
	if !ok {
		return 0, 0, kerr.UnknownTopicOrPartition
	}
	end, _ := b.Lookup(topic, partition)
	return start.Offset, end.Offset, start.Err
}

func (f foreign) trim(ctx context.Context, topic string, partition int32, to int64) error {
	var o kadm.Offsets
	o.AddOffset(topic, partition, to, -1)
	r, err := f.ad.DeleteRecords(ctx, o)
	if err != nil {
		return err
	}
	return r.Error()
}

func (f foreign) commit(ctx context.Context, group, topic string, partition int32, offset int64) error {
	var o kadm.Offsets
	o.AddOffset(topic, partition, offset, -1)
	r, err := f.ad.CommitOffsets(ctx, group, o)
	if err != nil {
		return err
	}
	return r.Error()
}

func (f foreign) committed(ctx context.Context, group, topic string, partition int32) (int64, error) {
	r, err := f.ad.FetchOffsets(ctx, group)
	if err != nil {
		return 0, err
	}
	o, ok := r.Lookup(topic, partition)
	if !ok {
		return -1, nil
	}
	return o.At, o.Err
}

func (f foreign) groups(ctx context.Context) ([]string, error) {
	l, err := f.ad.ListGroups(ctx)
	return l.Groups(), err
}

func (f foreign) forget(ctx context.Context, group string) error {
	_, err := f.ad.DeleteGroup(ctx, group)
	return err
}

// kafkaNumber is the number of an error in the Kafka protocol, 0 for nil.
func kafkaNumber(err error) int16 {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Code
	}
	return fault.CodeOf(err).Kafka()
}

// Goal: the Kafka door, the gRPC door and the client in the process are three ways to the same things: what one of them
// makes, commits and deletes the others see, with the same offsets and the same refusals. Method: one table of steps; in
// each round another door does what changes something, and all three are asked after each.
func TestDoorsAgree(t *testing.T) {
	ctx := testContext(t)
	m, err := cluster.Start(ctx, cluster.Config{DataDir: t.TempDir(), Kafka: "127.0.0.1:0", GRPC: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	over, err := remote.Dial(ctx, m.GRPCAddr(), remote.With(client.WithPartitioner(client.Explicit)))
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	k := newClient(t, m.KafkaAddr(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer k.Close()
	local := m.NewClient(client.WithPartitioner(client.Explicit))
	defer local.Close()
	doors := []struct {
		name string
		door
	}{{"kafka", foreign{k, kadm.NewClient(k)}}, {"grpc", native{over}}, {"in-process", native{local}}}
	for i, doer := range doors {
		topic, group := fmt.Sprint("topic", i), fmt.Sprint("group", i)
		steps := []struct {
			name string
			do   func(d door) error
			want int16
		}{
			{"create", func(d door) error { return d.create(ctx, topic, 2) }, 0},
			{"create again", func(d door) error { return d.create(ctx, topic, 2) }, fault.TopicAlreadyExists.Kafka()},
			{"bad name", func(d door) error { return d.create(ctx, "a b", 1) }, fault.InvalidTopic.Kafka()},
			{"first", func(d door) error { return placed(ctx, d, topic, 0) }, 0},
			{"second", func(d door) error { return placed(ctx, d, topic, 1) }, 0},
			{"trim", func(d door) error { return d.trim(ctx, topic, 0, 1) }, 0},
			{"trim too far", func(d door) error { return d.trim(ctx, topic, 0, 9) }, fault.OffsetOutOfRange.Kafka()},
			{"commit", func(d door) error { return d.commit(ctx, group, topic, 0, 2) }, 0},
			{"commit nowhere", func(d door) error { return d.commit(ctx, group, "none", 0, 2) },
				fault.UnknownTopicOrPartition.Kafka()},
			{"forget nothing", func(d door) error { return d.forget(ctx, "none") }, fault.GroupIDNotFound.Kafka()},
			{"remove nothing", func(d door) error { return d.remove(ctx, "none") }, fault.UnknownTopicOrPartition.Kafka()},
		}
		for _, s := range steps {
			if got := kafkaNumber(s.do(doer.door)); got != s.want {
				t.Errorf("%s, %s: error %d, want %d", doer.name, s.name, got, s.want)
			}
		}
		for _, d := range doors {
			if got, want := seen(ctx, d.door, topic, group), "2 partitions, [1, 2), committed 2, "+group; got != want {
				t.Errorf("what %s did, %s sees as %q, want %q", doer.name, d.name, got, want)
			}
		}
		if err := errors.Join(doer.forget(ctx, group), doer.remove(ctx, topic)); err != nil {
			t.Errorf("%s: %v", doer.name, err)
		}
		for _, d := range doors {
			if _, err := d.partitions(ctx, topic); kafkaNumber(err) != fault.UnknownTopicOrPartition.Kafka() {
				t.Errorf("%s deleted a topic, %s says %v", doer.name, d.name, err)
			}
		}
	}
}

// placed produces one record, which must come to an offset.
func placed(ctx context.Context, d door, topic string, want int64) error {
	o, err := d.produce(ctx, topic, 0, "value")
	if err == nil && o != want {
		err = fmt.Errorf("the record is at %d, not %d", o, want)
	}
	return err
}

// seen is everything that a door tells of a topic and a group, in one line.
func seen(ctx context.Context, d door, topic, group string) string {
	n, err1 := d.partitions(ctx, topic)
	first, behind, err2 := d.ends(ctx, topic, 0)
	c, err3 := d.committed(ctx, group, topic, 0)
	names, err4 := d.groups(ctx)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err.Error()
	}
	listed := "not listed"
	for _, name := range names {
		if name == group {
			listed = group
		}
	}
	return fmt.Sprintf("%d partitions, [%d, %d), committed %d, %s", n, first, behind, c, listed)
}
