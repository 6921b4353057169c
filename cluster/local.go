package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// local is the client.Transport inside the process: the broker without a wire between.
type local struct{ m *Member }

var _ client.Transport = local{}

// localTimeout bounds a call whose context has no deadline.
const localTimeout = 30 * time.Second

var localWho = broker.Who{ClientID: "embedded", Remote: "local"}

// by is the deadline of a request: the context's, or localTimeout from now.
func (m *Member) by(ctx context.Context) time.Time {
	if t, ok := ctx.Deadline(); ok {
		return t
	}
	return m.config.Now().Add(localTimeout)
}

// Metadata implements client.Transport.
func (l local) Metadata(ctx context.Context, create bool, topics ...string) ([]client.TopicMetadata, error) {
	var out []client.TopicMetadata
	if len(topics) == 0 {
		for _, t := range l.m.broker.Table().TopicsByName() {
			out = append(out, l.describe(t))
		}
		return out, nil
	}
	for _, name := range topics {
		var refused error
		if create && l.m.config.AutoCreateTopics && l.m.broker.Table().Topics[name] == nil {
			refused = l.m.createTopics(ctx, []broker.NewTopic{{Name: name, Partitions: -1, Replicas: -1}})
		}
		switch t := l.m.broker.Table().Topics[name]; {
		case t != nil:
			out = append(out, l.describe(t))
		case refused != nil:
			out = append(out, client.TopicMetadata{Name: name, Err: refused})
		default:
			out = append(out, client.TopicMetadata{Name: name, Err: fault.New(fault.UnknownTopicOrPartition,
				"topic %q does not exist", name).WithHint("create it, or check the name with a topic listing")})
		}
	}
	return out, nil
}

func (l local) describe(t *placement.Topic) client.TopicMetadata {
	d := client.TopicMetadata{Name: t.Name, ID: t.ID, Internal: t.Internal}
	for n, p := range t.Partitions {
		lead := l.m.broker.Leader(record.TopicPartition{Topic: t.ID, Partition: record.Partition(n)})
		part := client.PartitionMetadata{Leader: lead.Member, LeaderEpoch: lead.Epoch}
		for _, r := range p.Replicas {
			part.Replicas = append(part.Replicas, r.Member)
		}
		if !lead.Known {
			part.Err = fault.New(fault.LeaderNotAvailable, "partition %s/%d has no leader", t.Name, n).
				WithHint("retry in a moment")
		}
		d.Partitions = append(d.Partitions, part)
	}
	return d
}

// Produce implements client.Transport.
func (l local) Produce(b client.Outgoing, done func(client.Produced)) {
	l.m.broker.Produce(broker.Produce{
		Who: localWho, Topic: b.Topic, TopicID: b.TopicID, Partition: b.Partition,
		Acks: int8(b.Acks), Frame: b.Frame, Deadline: b.Deadline,
	}, func(p broker.Produced) {
		done(client.Produced{Base: p.Base, LogStart: p.LogStart, AppendTimeMs: p.AppendTimeMs, Err: p.Err})
	})
}

// localReader reads from the broker; nothing is read ahead.
type localReader struct{ m *Member }

// OpenReader implements client.Transport.
func (l local) OpenReader() client.Reader { return localReader(l) }

// Close implements client.Reader.
func (l localReader) Close() {}

// Fetch implements client.Reader. A wait whose context ends is given up at the partitions too.
func (l localReader) Fetch(ctx context.Context, r client.FetchRequest) (client.FetchResult, error) {
	f := broker.Fetch{
		Who: localWho, MinBytes: r.MinBytes, MaxBytes: r.MaxBytes,
		Deadline: l.m.config.Now().Add(r.MaxWait), Partitions: make([]broker.FetchPartition, len(r.Partitions)),
	}
	for i, p := range r.Partitions {
		f.Partitions[i] = broker.FetchPartition{
			Topic: p.Topic, TopicID: p.TopicID, Partition: p.Partition, From: p.From, MaxBytes: p.MaxBytes,
			Epoch: record.NoEpoch, LastEpoch: record.NoEpoch,
		}
	}
	answer := make(chan broker.Fetched, 1)
	cancel := l.m.broker.Fetch(f, func(a broker.Fetched) { answer <- a })
	var a broker.Fetched
	select {
	case a = <-answer:
	case <-ctx.Done():
		cancel()
		(<-answer).Release() // it comes at once now
		return client.FetchResult{}, ctx.Err()
	}
	res := client.FetchResult{Free: a.Release, Partitions: make([]client.FetchedPartition, len(a.Partitions))}
	none := !slices.ContainsFunc(a.Partitions, func(p broker.FetchedPartition) bool { return len(p.Batches) > 0 })
	for i, p := range a.Partitions {
		res.Partitions[i] = client.FetchedPartition{
			HighWatermark: p.HighWatermark, LogStart: p.LogStart, Batches: p.Batches, Err: p.Err,
		}
		if none { // compaction has left nothing: the first batch that is found comes whatever its size
			res.Partitions[i].Next = p.HighWatermark
		}
	}
	return res, nil
}

// ListOffsets implements client.Transport.
func (l local) ListOffsets(ctx context.Context, q []client.OffsetQuery) ([]client.OffsetAnswer, error) {
	ask := make([]broker.OffsetQuery, len(q))
	for i, o := range q {
		ask[i] = broker.OffsetQuery{
			Topic: o.Topic, Partition: o.Partition, TimestampMs: o.TimestampMs, Epoch: record.NoEpoch,
		}
	}
	a, err := broker.Await(ctx, func(done func([]broker.OffsetAnswer)) {
		l.m.broker.ListOffsets(localWho, ask, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]client.OffsetAnswer, len(a))
	for i, o := range a {
		out[i] = client.OffsetAnswer{Offset: o.Offset, TimestampMs: o.TimestampMs, Err: o.Err}
	}
	return out, nil
}

// InitProducer implements client.Transport.
func (l local) InitProducer(ctx context.Context) (record.ProducerID, record.ProducerEpoch, error) {
	p := broker.InitProducer{Who: localWho, ID: record.NoProducer, Epoch: -1, Deadline: l.m.by(ctx)}
	a, err := broker.Await(ctx, func(done func(broker.InitedProducer)) { l.m.broker.InitProducer(p, done) })
	return a.ID, a.Epoch, firstError(err, a.Err)
}

// CreateTopics implements client.Transport.
func (l local) CreateTopics(ctx context.Context, t []client.NewTopic) ([]client.TopicAnswer, error) {
	topics := make([]broker.NewTopic, len(t))
	for i, n := range t {
		topics[i] = broker.NewTopic{Name: n.Name, Partitions: orDefault(n.Partitions), Replicas: int16(orDefault(n.Replicas))}
		topics[i].Configs = make(map[string]*string, len(n.Configs))
		for k, v := range n.Configs {
			topics[i].Configs[k] = &v
		}
	}
	a, err := broker.Await(ctx, func(done func([]broker.CreatedTopic)) {
		l.m.broker.CreateTopics(localWho, topics, false, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]client.TopicAnswer, len(a))
	for i, c := range a {
		out[i] = client.TopicAnswer{Name: c.Name, ID: c.ID, Err: c.Err}
		if c.Err == nil {
			out[i].Partitions = int(c.Partitions)
		}
	}
	return out, nil
}

// orDefault is n, or what the port takes for "the default" where n is 0.
func orDefault(n int) int32 {
	if n == 0 {
		return -1
	}
	return int32(n)
}

// DeleteTopics implements client.Transport.
func (l local) DeleteTopics(ctx context.Context, names []string) ([]client.TopicAnswer, error) {
	refs := make([]broker.TopicRef, len(names))
	for i, n := range names {
		refs[i] = broker.TopicRef{Name: n}
	}
	a, err := broker.Await(ctx, func(done func([]broker.DeletedTopic)) {
		l.m.broker.DeleteTopics(localWho, refs, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]client.TopicAnswer, len(a))
	for i, d := range a {
		out[i] = client.TopicAnswer{Name: d.Name, ID: d.ID, Err: d.Err}
	}
	return out, nil
}

// CreatePartitions implements client.Transport.
func (l local) CreatePartitions(ctx context.Context, t []client.MorePartitions) ([]client.TopicAnswer, error) {
	more := make([]broker.MorePartitions, len(t))
	for i, p := range t {
		more[i] = broker.MorePartitions{Topic: p.Topic, Count: int32(p.Total)}
	}
	a, err := broker.Await(ctx, func(done func([]broker.TopicResult)) {
		l.m.broker.CreatePartitions(localWho, more, false, l.m.by(ctx), done)
	})
	if err != nil {
		return nil, err
	}
	out := make([]client.TopicAnswer, len(a))
	for i, r := range a {
		out[i] = client.TopicAnswer{Name: r.Topic, Partitions: t[i].Total, Err: r.Err}
	}
	return out, nil
}

// DescribeConfigs implements client.Transport.
func (l local) DescribeConfigs(_ context.Context, topics []string) ([]client.TopicConfigs, error) {
	ask := make([]broker.ConfigResource, len(topics))
	for i, name := range topics {
		ask[i] = broker.ConfigResource{Type: broker.ResourceTopic, Name: name}
	}
	out := make([]client.TopicConfigs, len(topics))
	for i, d := range l.m.broker.DescribeConfigs(localWho, ask) {
		out[i] = client.TopicConfigs{Topic: topics[i], Err: d.Err}
		for _, e := range d.Entries {
			out[i].Entries = append(out[i].Entries, client.ConfigEntry{
				Key: e.Key, Value: e.Value, Default: e.Default, Source: sourceName(e.Source),
				ReadOnly: e.ReadOnly, Doc: e.Doc,
			})
		}
	}
	return out, nil
}

func sourceName(s config.Source) string {
	if s == config.SourceTopic {
		return "topic"
	}
	return "default"
}

// Close implements client.Transport; there is no connection.
func (l local) Close() error { return nil }
