package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/benchmarks/load"
)

// kafka makes the Kafka door of a bench: it measures any server of the protocol, by a client that is not of this project.
// It blocks until the server answers, at most a few seconds, so that a wrong address is told at once.
func (b *bench) kafka(writes bool) (benchDoor, error) {
	where, err := b.s.address(b.c.String(kafkaDoor.flag), kafkaDoor)
	if err != nil {
		return nil, err
	}
	k := load.Kafka{
		Brokers: strings.Split(where, ","), Connect: []kgo.Opt{kgo.ClientID("millstream"), kgo.DialTimeout(dialTimeout)},
	}
	if writes {
		if k.Options, err = kafkaOptions(b.c); err != nil {
			return nil, err
		}
		b.Acks, b.Compression = b.c.String("acks"), b.c.String("compression")
	}
	cl, err := kgo.NewClient(append(k.Connect, kgo.SeedBrokers(k.Brokers...))...)
	if err != nil {
		return nil, usage("these options do not go together").because("%v", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(b.c.Context, dialTimeout+time.Second)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		if b.c.Context.Err() != nil {
			return nil, b.c.Context.Err()
		}
		why := oneLine(err.Error())
		if errors.Is(err, io.EOF) {
			why = "it closed the connection: is that a Kafka door?"
		}
		return nil, fail(exitUnreachable, "no member answers at "+where).because("%s", why).
			hint("start one with `millstream dev`, or name another with --%s", kafkaDoor.flag)
	}
	return k, nil
}

// kafkaOptions are what produceOptions are, for the Kafka door. The bound on what is in flight is the driver's own; a batch
// goes when the one before has gone.
func kafkaOptions(c *urfave.Context) ([]kgo.Opt, error) {
	if _, err := produceOptions(c); err != nil { // the same words are refused
		return nil, err
	}
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[c.String("compression")]
	opts := []kgo.Opt{
		kgo.AllowAutoTopicCreation(), kgo.RecordDeliveryTimeout(c.Duration("timeout")), kgo.MaxBufferedBytes(64 << 20),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(c.Int("in-flight") + 1), kgo.ProducerBatchCompression(codec),
	}
	switch c.String("acks") {
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	}
	return opts, nil
}

// kafkaRefused is refused for an error that came through the Kafka door.
func kafkaRefused(what string, err error) *failure {
	f := refused(what, err)
	if errors.Is(err, kgo.ErrRecordTimeout) {
		f.code = exitUnreachable
		return f.because("no answer within the time limit")
	}
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		return f
	}
	f.because("%s: %s", strings.ToLower(strings.ReplaceAll(ke.Message, "_", " ")), ke.Description)
	switch ke.Code {
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code:
		f.code = exitNotFound
	case kerr.TopicAlreadyExists.Code:
		f.code = exitConflict
	case kerr.RequestTimedOut.Code, kerr.LeaderNotAvailable.Code, kerr.NotLeaderForPartition.Code,
		kerr.BrokerNotAvailable.Code, kerr.NotController.Code:
		f.code = exitUnreachable
	}
	return f
}
