package golang

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// goDial opens kafka-go's connection.
func goDial(t *testing.T, address string) *kafka.Conn {
	t.Helper()
	c, err := kafka.DialContext(testContext(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return c
}

// goClient is a client with connections of its own: shared ones may have died with a member, and it does not try
// again.
func goClient(t *testing.T, address string) *kafka.Client {
	connections := &kafka.Transport{}
	t.Cleanup(connections.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(address), Timeout: limit, Transport: connections}
}

func goCreate(t *testing.T, address, topic string, partitions int) {
	t.Helper()
	err := goDial(t, address).CreateTopics(kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1})
	if err != nil {
		t.Fatal(err)
	}
}

// goWriter is a writer that goes on when the member was away for a while. It has connections of its own: the shared
// ones remember for seconds which topics there are, and kafka-go knows no others.
func goWriter(t *testing.T, address, topic string, change func(*kafka.Writer)) *kafka.Writer {
	w := &kafka.Writer{
		Addr: kafka.TCP(address), Topic: topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		BatchTimeout: 5 * time.Millisecond, MaxAttempts: 100, WriteBackoffMax: 200 * time.Millisecond,
		Transport: &kafka.Transport{},
	}
	if change != nil {
		change(w)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// goWrite sends records from to to-1 of the series in batches and notes them as acknowledged.
func goWrite(t *testing.T, w *kafka.Writer, l *ledger, from, to int) {
	t.Helper()
	const most = 100
	for ; from < to; from += most {
		var batch []kafka.Message
		for i := from; i < min(from+most, to); i++ {
			e := entryOf(i)
			batch = append(batch, kafka.Message{Key: []byte(e.key), Value: e.value()})
		}
		if err := w.WriteMessages(testContext(t), batch...); err != nil {
			t.Error(err)
			return
		}
		for i := range batch {
			l.acknowledged(entryOf(from + i))
		}
	}
}

// goReadAll reads a partition from its start to where it ends now.
func goReadAll(t *testing.T, address, topic string, partition int) []kafka.Message {
	t.Helper()
	c, err := kafka.DialLeader(testContext(t), "tcp", address, topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	first, last, err := c.ReadOffsets()
	if err != nil {
		t.Fatal(err)
	}
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{address}, Topic: topic, Partition: partition, MinBytes: 1, MaxBytes: 1 << 20,
		MaxWait: 100 * time.Millisecond,
	})
	defer r.Close()
	var got []kafka.Message
	for int64(len(got)) < last-first {
		m, err := r.ReadMessage(testContext(t))
		if err != nil {
			t.Fatalf("partition %d after %d of %d records: %v", partition, len(got), last-first, err)
		}
		got = append(got, m)
	}
	return got
}

// Goal: what kafka-go writes with any codec and any way to choose a partition is read back as it was, each key in
// order. Method: a topic for each codec and balancer; keys, values, headers and timestamps are compared.
func TestKafkaGoWriter(t *testing.T) {
	address := startMember(t).address
	for name, c := range map[string]struct {
		codec    kafka.Compression
		balancer kafka.Balancer
	}{
		"plain":  {0, &kafka.Hash{}},
		"gzip":   {kafka.Gzip, &kafka.ReferenceHash{}},
		"snappy": {kafka.Snappy, &kafka.CRC32Balancer{}},
		"lz4":    {kafka.Lz4, &kafka.Murmur2Balancer{}},
		"zstd":   {kafka.Zstd, &kafka.Hash{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			goCreate(t, address, name, 3)
			w := goWriter(t, address, name, func(w *kafka.Writer) { w.Compression, w.Balancer = c.codec, c.balancer })
			at := time.Now().Truncate(time.Millisecond).UTC()
			var sent []kafka.Message
			for i := range 1000 {
				e := entryOf(i)
				sent = append(sent, kafka.Message{
					Key: []byte(e.key), Value: e.value(), Time: at.Add(time.Duration(i) * time.Millisecond),
					Headers: []kafka.Header{{Key: "codec", Value: []byte(name)}, {Key: "empty", Value: []byte{}}},
				})
			}
			if err := w.WriteMessages(testContext(t), sent...); err != nil {
				t.Fatal(err)
			}
			for i := range sent {
				l.acknowledged(entryOf(i))
			}
			for p := range 3 {
				for _, m := range goReadAll(t, address, name, p) {
					l.took(int32(p), m.Offset, m.Key, m.Value)
					i := int(m.Time.Sub(at).Milliseconds())
					if i < 0 || i >= len(sent) || string(sent[i].Value) != string(m.Value) || len(m.Headers) != 2 ||
						m.Headers[0].Key != "codec" || string(m.Headers[0].Value) != name || m.Headers[1].Key != "empty" {
						t.Fatalf("read %+v", m)
					}
				}
			}
			l.check(t, true)
		})
	}
}

// Goal: kafka-go's lowest level works: a connection to a partition that writes, seeks and reads batches, also
// compressed. Method: ten records through the connection, read from each place.
func TestKafkaGoConn(t *testing.T) {
	address := startMember(t).address
	goCreate(t, address, "conn", 2)
	c, err := kafka.DialLeader(testContext(t), "tcp", address, "conn", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := c.WriteMessages(kafka.Message{Value: []byte{byte('a' + i)}}); err != nil {
			t.Fatal(err)
		}
	}
	var rest []kafka.Message
	for i := range 5 {
		rest = append(rest, kafka.Message{Value: []byte{byte('f' + i)}})
	}
	_, partition, offset, _, err := c.WriteCompressedMessagesAt(kafka.Zstd.Codec(), rest...)
	if err != nil || partition != 1 || offset != 5 {
		t.Fatalf("written at %d@%d, %v", partition, offset, err)
	}
	for from := range int64(10) {
		if _, err := c.Seek(from, kafka.SeekAbsolute); err != nil {
			t.Fatal(err)
		}
		batch := c.ReadBatch(1, 1<<20)
		var got []byte
		for int64(len(got)) < min(10, 10-from) {
			m, err := batch.ReadMessage()
			if errors.Is(err, io.EOF) { // the answer ended, the log did not
				_ = batch.Close()
				batch = c.ReadBatch(1, 1<<20)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.Value...)
		}
		if err := batch.Close(); err != nil || string(got) != "abcdefghij"[from:] {
			t.Fatalf("from %d: %q, %v", from, got, err)
		}
	}
}

// Goal: topics are made, listed, grown, configured and deleted with kafka-go, and offsets found by time. Method: its
// connection and its client, each request that it has for what is served.
func TestKafkaGoAdmin(t *testing.T) {
	address := startMember(t).address
	ctx, c, k := testContext(t), goDial(t, address), goClient(t, address)
	goCreate(t, address, "made", 3)
	again, err := k.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: "made", NumPartitions: 3, ReplicationFactor: 1},
		{Topic: "second", NumPartitions: -1, ReplicationFactor: -1,
			ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "3600000"}}},
	}})
	if err != nil || !errors.Is(again.Errors["made"], kafka.TopicAlreadyExists) || again.Errors["second"] != nil {
		t.Fatalf("made: %+v, %v", again, err)
	}
	grown, err := k.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: "made", Count: 5}},
	})
	if err != nil || grown.Errors["made"] != nil {
		t.Fatalf("grown: %+v, %v", grown, err)
	}
	listed, err := c.ReadPartitions()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, p := range listed {
		count[p.Topic]++
	}
	if count["made"] != 5 || count["second"] != 1 {
		t.Errorf("listed %v", count)
	}
	if b, err := c.Brokers(); err != nil || len(b) != 1 {
		t.Errorf("brokers %v, %v", b, err)
	}
	if b, err := c.Controller(); err != nil || b.Host != "127.0.0.1" {
		t.Errorf("controller %v, %v", b, err)
	}
	goConfigs(ctx, t, k)
	if err := c.DeleteTopics("second"); err != nil {
		t.Error(err)
	}
	if err := c.DeleteTopics("second"); !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("deleted twice: %v", err)
	}
	session, err := k.InitProducerID(ctx, &kafka.InitProducerIDRequest{})
	if err != nil || session.Error != nil {
		t.Errorf("producer id: %+v, %v", session, err)
	}
}

// goConfigs describes and alters the configuration of a topic, both ways.
func goConfigs(ctx context.Context, t *testing.T, k *kafka.Client) {
	t.Helper()
	is := func(want string) {
		t.Helper()
		d, err := k.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
			{ResourceType: kafka.ResourceTypeTopic, ResourceName: "second", ConfigNames: []string{"retention.ms"}},
		}})
		if err != nil || len(d.Resources) != 1 || d.Resources[0].Error != nil || len(d.Resources[0].ConfigEntries) != 1 ||
			d.Resources[0].ConfigEntries[0].ConfigValue != want {
			t.Fatalf("described: %+v, %v; want %s", d, err, want)
		}
	}
	is("3600000")
	whole, err := k.AlterConfigs(ctx, &kafka.AlterConfigsRequest{Resources: []kafka.AlterConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: "second",
		Configs: []kafka.AlterConfigRequestConfig{{Name: "retention.ms", Value: "7200000"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range whole.Errors {
		if err != nil {
			t.Errorf("alter %v: %v", what, err)
		}
	}
	is("7200000")
	part, err := k.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: "second",
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{
				{Name: "retention.ms", Value: "10800000", ConfigOperation: kafka.ConfigOperationSet},
			},
		}},
	})
	if err != nil || part.Resources[0].Error != nil {
		t.Fatalf("alter: %+v, %v", part, err)
	}
	is("10800000")
}

// Goal: kafka-go finds offsets by time, and where a partition begins and ends. Method: records a second apart,
// looked up through the connection, the client and a reader.
func TestKafkaGoOffsetsByTime(t *testing.T) {
	address := startMember(t).address
	goCreate(t, address, "timed", 1)
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	w := goWriter(t, address, "timed", nil)
	var all []kafka.Message
	for i := range 10 {
		all = append(all, kafka.Message{Value: []byte("v"), Time: begin.Add(time.Duration(i) * time.Second)})
	}
	if err := w.WriteMessages(testContext(t), all...); err != nil {
		t.Fatal(err)
	}
	c, err := kafka.DialLeader(testContext(t), "tcp", address, "timed", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if first, last, err := c.ReadOffsets(); err != nil || first != 0 || last != 10 {
		t.Errorf("from %d to %d, %v", first, last, err)
	}
	for after, want := range map[time.Duration]int64{-time.Hour: 0, 3500 * time.Millisecond: 4, 9 * time.Second: 9} {
		at := begin.Add(after)
		if o, err := c.ReadOffset(at); err != nil || o != want {
			t.Errorf("the connection says %d for %s, want %d, %v", o, after, want, err)
		}
		r, err := goClient(t, address).ListOffsets(testContext(t), &kafka.ListOffsetsRequest{
			Topics: map[string][]kafka.OffsetRequest{
				"timed": {kafka.TimeOffsetOf(0, at), kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)},
			},
		})
		if err != nil || len(r.Topics["timed"]) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		p := r.Topics["timed"][0]
		if _, ok := p.Offsets[want]; !ok || p.FirstOffset != 0 || p.LastOffset != 10 || p.Error != nil {
			t.Errorf("the client says %+v for %s, want %d", p, after, want)
		}
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address}, Topic: "timed", MaxWait: 100 * time.Millisecond})
	defer r.Close()
	if err := r.SetOffsetAt(testContext(t), begin.Add(6500*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if m, err := r.ReadMessage(testContext(t)); err != nil || m.Offset != 7 {
		t.Errorf("the reader begins at %d, %v", m.Offset, err)
	}
	if lag, err := r.ReadLag(testContext(t)); err != nil || lag != 2 {
		t.Errorf("lag %d, %v", lag, err)
	}
}
