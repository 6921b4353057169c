package kafka

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/proto/record"
)

// testBatch makes a whole batch of one record, or of more offsets where count says so.
func testBatch(value string, count int32) []byte {
	rec := kmsg.Record{Value: []byte(value)}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1)
	raw := rec.AppendTo(nil)
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: count - 1,
		FirstTimestamp: 1000, MaxTimestamp: 1000,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: count, Records: raw,
	}
	b.Length = int32(49 + len(raw))
	enc := b.AppendTo(nil)
	binary.BigEndian.PutUint32(enc[17:], crcOf(enc[21:]))
	return enc
}

// produceRequest makes a Produce of one partition.
func produceRequest(version int16, topic string, id record.TopicID, p int32, records []byte,
) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = topic, id
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = p, records
	t.Partitions = append(t.Partitions, rp)
	req.Topics = append(req.Topics, t)
	return req
}

// fetchRequest makes a Fetch of partition 0 of a topic.
func fetchRequest(version int16, topic string, id record.TopicID, from int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = from, 1<<20, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// Goal: a batch goes in and out in every version of Produce and Fetch, byte for byte. Method: frames
// built by kmsg; answers must decode by kmsg and be what kmsg itself would encode.
func TestProduceFetchEveryVersion(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	next := int64(0)
	for v := int16(3); v <= apis[keyProduce].max; v++ {
		batch := testBatch("some value", 2)
		resp := r.ask(produceRequest(v, "t", id, 0, batch)).(*kmsg.ProduceResponse)
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != next || p.LogAppendTime != -1 {
			t.Fatalf("produce v%d: %+v", v, p)
		}
		next += 2
	}
	for v := apis[keyFetch].min; v <= apis[keyFetch].max; v++ {
		for _, isolation := range []int8{0, 1} {
			req := fetchRequest(v, "t", id, 3) // inside the second batch
			req.IsolationLevel = isolation
			resp := r.ask(req).(*kmsg.FetchResponse)
			p := resp.Topics[0].Partitions[0]
			first, _, err := record.Next(p.RecordBatches)
			if err != nil || first.BaseOffset() != 2 || first.Check() != nil {
				t.Fatalf("fetch v%d: %v %v", v, first, err)
			}
			if p.HighWatermark != next || (p.AbortedTransactions == nil) != (isolation == 0) {
				t.Fatalf("fetch v%d: %+v", v, p)
			}
		}
	}
	eventually(t, "all fetched buffers released", func() bool {
		return port.released.Load() == port.fetches.Load()
	})
}

// Goal: every other key answers in every version with a body that kmsg reads. Method: random requests,
// pipelined on one connection; answers must come in order.
func TestEveryKeyEveryVersion(t *testing.T) {
	port := newMemPort()
	port.topic("some-topic", 2)
	port.autoCreate = true
	d := openDoor(t, port)
	r := d.dial()
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, a := range served() {
		if a.key == keyProduce {
			continue
		}
		for v := a.min; v <= a.max; v++ {
			var sent []kmsg.Request
			for range 20 {
				req := randomRequest(rnd, a.key, v)
				if f, ok := req.(*kmsg.FetchRequest); ok {
					f.MaxWaitMillis = 1
				}
				r.send(req)
				sent = append(sent, req)
			}
			for i, req := range sent {
				correlation, b := r.answer()
				if want := r.seq - int32(len(sent)-i-1); correlation != want {
					t.Fatalf("key %d v%d: answer to %d, want %d", a.key, v, correlation, want)
				}
				decodeAnswer(t, req, b)
			}
		}
	}
}

// Goal: ApiVersions says what is served, and its header stays readable. Method: every version, one that
// is not known, and a client with a name that is none.
func TestApiVersions(t *testing.T) {
	d := openDoor(t, newMemPort())
	r := d.dial()
	for v := int16(0); v <= 4; v++ {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = v, "kgo", "1.2-rc.1"
		resp := r.ask(req).(*kmsg.ApiVersionsResponse)
		if resp.ErrorCode != 0 || len(resp.ApiKeys) != len(served()) || resp.ApiKeys[0].MinVersion != 0 {
			t.Fatalf("v%d: %+v", v, resp)
		}
	}
	bad := kmsg.NewPtrApiVersionsRequest()
	bad.Version, bad.ClientSoftwareName, bad.ClientSoftwareVersion = 3, "-", "1"
	if resp := r.ask(bad).(*kmsg.ApiVersionsResponse); resp.ErrorCode != 42 || len(resp.ApiKeys) != 0 {
		t.Fatalf("name that is none: %+v", resp)
	}
	r.write([]byte{0, 0, 0, 13, 0, 18, 0, 99, 0, 0, 0, 77, 1, 2, 3, 4, 5})
	correlation, b := r.answer()
	old := kmsg.NewPtrApiVersionsResponse()
	if err := old.ReadFrom(b); err != nil || correlation != 77 {
		t.Fatalf("unknown version: %v, correlation %d", err, correlation)
	}
	want := apiRange(apis[keyApiVersions])
	if old.ErrorCode != 35 || len(old.ApiKeys) != 1 || !reflect.DeepEqual(old.ApiKeys[0], want) {
		t.Fatalf("unknown version: %+v", old)
	}
}

// Goal: a long poll holds up neither the reading nor, once answered, the order. Method: a Fetch that
// waits, then Metadata and a Produce on the same connection that wakes it.
func TestLongPollReadsOn(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	fetch := fetchRequest(12, "t", id, 0)
	fetch.MaxWaitMillis = int32(time.Hour / time.Millisecond)
	meta := kmsg.NewPtrMetadataRequest()
	meta.Version = 12
	produce := produceRequest(9, "t", id, 0, testBatch("wake", 1))
	for _, req := range []kmsg.Request{fetch, meta, produce} {
		r.send(req)
	}
	for i, req := range []kmsg.Request{fetch, meta, produce} {
		correlation, b := r.answer()
		if correlation != int32(i+1) {
			t.Fatalf("answer %d came in place %d", correlation, i+1)
		}
		resp := decodeAnswer(t, req, b)
		if f, ok := resp.(*kmsg.FetchResponse); ok && len(f.Topics[0].Partitions[0].RecordBatches) == 0 {
			t.Fatal("the long poll woke up with nothing")
		}
	}
}
