package golang

import (
	"strconv"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// saramaVersions are the versions of Kafka that sarama is told to speak: the one that Goka asks for, its default, and
// the newest it knows.
func saramaVersions() map[string]sarama.KafkaVersion {
	return map[string]sarama.KafkaVersion{
		"2.0": sarama.V2_0_0_0, "2.8": sarama.V2_8_0_0, "newest": sarama.MaxVersion,
	}
}

// saramaConfig is a configuration for tests: nothing is waited for that need not be, and everything is tried for as
// long as a member may take to start again.
func saramaConfig(v sarama.KafkaVersion) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = v
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 200, 100*time.Millisecond
	c.Admin.Retry.Max, c.Admin.Retry.Backoff = 100, 100*time.Millisecond
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 200, 100*time.Millisecond
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Consumer.Retry.Backoff = 100 * time.Millisecond
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 100 * time.Millisecond
	c.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	c.Consumer.Group.Rebalance.Retry.Max, c.Consumer.Group.Rebalance.Retry.Backoff = 100, 100*time.Millisecond
	return c
}

func saramaAdmin(t *testing.T, address string, v sarama.KafkaVersion) sarama.ClusterAdmin {
	t.Helper()
	a, err := sarama.NewClusterAdmin([]string{address}, saramaConfig(v))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func saramaCreate(t *testing.T, address, topic string, partitions int32) {
	t.Helper()
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}
	if err := saramaAdmin(t, address, sarama.DefaultVersion).CreateTopic(topic, detail, false); err != nil {
		t.Fatal(err)
	}
}

// saramaMessage is record i of the series.
func saramaMessage(topic string, i int) *sarama.ProducerMessage {
	e := entryOf(i)
	return &sarama.ProducerMessage{
		Topic: topic, Key: sarama.StringEncoder(e.key), Value: sarama.ByteEncoder(e.value()), Metadata: e,
		Headers: []sarama.RecordHeader{{Key: []byte("number"), Value: []byte(strconv.Itoa(i))}},
	}
}

// saramaWrite sends records from to to-1 of the series through an asynchronous producer. It ends the producer when
// all are answered: one that is ended earlier gives up what it would have to try again.
func saramaWrite(t *testing.T, address, topic string, l *ledger, c *sarama.Config, from, to int) {
	t.Helper()
	p, err := sarama.NewAsyncProducer([]string{address}, c)
	if err != nil {
		t.Error(err)
		return
	}
	go func() {
		for i := from; i < to; i++ {
			p.Input() <- saramaMessage(topic, i)
		}
	}()
	failed := 0
	for range to - from {
		select {
		case m := <-p.Successes():
			l.acknowledged(m.Metadata.(entry))
		case e := <-p.Errors():
			if failed++; failed <= 5 {
				t.Errorf("%v: %v", e.Msg.Metadata, e.Err)
			}
		}
	}
	if err := p.Close(); err != nil || failed > 0 {
		t.Errorf("%d records were not written; %v", failed, err)
	}
}

// saramaReadAll reads every partition to where it ends now.
func saramaReadAll(t *testing.T, address, topic string, l *ledger, v sarama.KafkaVersion) {
	t.Helper()
	client, err := sarama.NewClient([]string{address}, saramaConfig(v))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	partitions, err := c.Partitions(topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range partitions {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			t.Fatal(err)
		}
		pc, err := c.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		late := time.After(limit)
		for at := int64(0); at < end; at++ {
			select {
			case m := <-pc.Messages():
				e := entryOf(mustNumber(t, m))
				if m.Offset != at || string(m.Value) != string(e.value()) {
					t.Fatalf("read %q at %d@%d", m.Value, p, m.Offset)
				}
				l.took(p, m.Offset, m.Key, m.Value)
			case <-late:
				t.Fatalf("partition %d: %d of %d records", p, at, end)
			}
		}
		if err := pc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// mustNumber is the number in the header of a message.
func mustNumber(t *testing.T, m *sarama.ConsumerMessage) int {
	t.Helper()
	if len(m.Headers) != 1 || string(m.Headers[0].Key) != "number" {
		t.Fatalf("headers %v", m.Headers)
	}
	n, err := strconv.Atoi(string(m.Headers[0].Value))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Goal: what sarama's idempotent producers write in each version and with each codec is there once, each key in
// order. Method: the asynchronous producer writes a part, the synchronous one the rest, and a consumer of the same
// version reads it back.
func TestSaramaProducers(t *testing.T) {
	address := startMember(t).address
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for name, v := range saramaVersions() {
		for _, codec := range codecs {
			if codec == sarama.CompressionZSTD && v == sarama.V2_0_0_0 {
				continue // Kafka 2.0 did not know it
			}
			t.Run(name+"-"+codec.String(), func(t *testing.T) {
				t.Parallel()
				topic, l, c := "p-"+name+"-"+codec.String(), newLedger(), saramaConfig(v)
				c.Producer.Compression = codec
				saramaCreate(t, address, topic, 3)
				saramaWrite(t, address, topic, l, c, 0, 1000)
				p, err := sarama.NewSyncProducer([]string{address}, c)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				if _, _, err := p.SendMessage(saramaMessage(topic, 1000)); err != nil {
					t.Fatal(err)
				}
				var rest []*sarama.ProducerMessage
				for i := 1001; i < 1200; i++ {
					rest = append(rest, saramaMessage(topic, i))
				}
				if err := p.SendMessages(rest); err != nil {
					t.Fatal(err)
				}
				for i := 1000; i < 1200; i++ {
					l.acknowledged(entryOf(i))
				}
				saramaReadAll(t, address, topic, l, v)
				l.check(t, true)
			})
		}
	}
}

// Goal: kill -9 of the member under sarama's idempotent producer: everything is there once and in order. Method:
// the asynchronous producer writes on while the member is killed and started again, twice.
func TestSaramaProducerKill(t *testing.T) {
	m := startMember(t)
	for name, v := range saramaVersions() {
		saramaCreate(t, m.address, "k-"+name, 3)
		l, written := newLedger(), make(chan struct{})
		go func() {
			defer close(written)
			saramaWrite(t, m.address, "k-"+name, l, saramaConfig(v), 0, 20_000)
		}()
		for round := range 2 {
			await(t, func() bool { sent, _ := l.counts(); return sent > 2000*round+1000 }, "some records of %s", name)
			m.crash()
		}
		<-written
		saramaReadAll(t, m.address, "k-"+name, l, v)
		l.check(t, true)
	}
}
