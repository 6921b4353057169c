package kafka

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: each refusal of a Produce has Kafka's code and says what to do, and leaves the connection usable.
// Method: one bad request after another on one connection, a good one between them.
func TestProduceRefusals(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	good, zstd := testBatch("v", 1), testBatch("v", 1)
	zstd[22] = byte(record.CodecZstd)
	broken := testBatch("v", 1)
	broken[len(broken)-1] ^= 1
	tests := map[string]struct {
		req  *kmsg.ProduceRequest
		acks int16
		txn  string
		code fault.Code
		hint string
	}{
		"acks": {req: produceRequest(9, "t", id, 0, good), acks: 2, code: fault.InvalidRequiredAcks,
			hint: "0, 1 or -1"},
		"transaction": {req: produceRequest(9, "t", id, 0, good), txn: "x", code: fault.InvalidTransactionState,
			hint: "transactional.id"},
		"topic":     {req: produceRequest(9, "nope", id, 0, good), code: fault.UnknownTopicOrPartition},
		"topic id":  {req: produceRequest(13, "t", record.TopicID{9}, 0, good), code: fault.UnknownTopicID},
		"partition": {req: produceRequest(9, "t", id, 1, good), code: fault.UnknownTopicOrPartition},
		"negative":  {req: produceRequest(9, "t", id, -1, good), code: fault.UnknownTopicOrPartition},
		"null": {req: produceRequest(8, "t", id, 0, nil), code: fault.InvalidRecord,
			hint: "exactly one batch"},
		"empty": {req: produceRequest(9, "t", id, 0, []byte{}), code: fault.InvalidRecord,
			hint: "exactly one batch"},
		"short":       {req: produceRequest(9, "t", id, 0, good[:40]), code: fault.InvalidRecord},
		"cut":         {req: produceRequest(9, "t", id, 0, good[:len(good)-1]), code: fault.CorruptRecord},
		"two batches": {req: produceRequest(9, "t", id, 0, bytes.Repeat(good, 2)), code: fault.InvalidRecord},
		"checksum":    {req: produceRequest(9, "t", id, 0, broken), code: fault.CorruptRecord},
		"too large": {req: produceRequest(9, "t", id, 0, make([]byte, 2<<20)), code: fault.RecordTooLarge,
			hint: "max.message.bytes"},
		"zstd in v6":   {req: produceRequest(6, "t", id, 0, zstd), code: fault.UnsupportedCompression},
		"old version":  {req: produceRequest(2, "t", id, 0, good), code: fault.UnsupportedVersion},
		"zero version": {req: produceRequest(0, "t", id, 0, good), code: fault.UnsupportedVersion},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r.t = t
			if tt.acks != 0 {
				tt.req.Acks = tt.acks
			}
			if tt.txn != "" {
				tt.req.TransactionID = &tt.txn
			}
			p := r.ask(tt.req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			if p.ErrorCode != tt.code.Kafka() || p.BaseOffset != -1 {
				t.Fatalf("got %+v, want code %d", p, tt.code.Kafka())
			}
			if tt.req.Version >= 8 && (p.ErrorMessage == nil || !strings.Contains(*p.ErrorMessage, tt.hint)) {
				t.Fatalf("message %v does not say %q", p.ErrorMessage, tt.hint)
			}
			ok := r.ask(produceRequest(9, "t", id, 0, testBatch("v", 1))).(*kmsg.ProduceResponse)
			if ok.Topics[0].Partitions[0].ErrorCode != 0 {
				t.Fatalf("good request refused: %+v", ok)
			}
		})
	}
}

// Goal: what refusals take in memory is paid for as long as they are kept; and a request of any number of
// them is malformed. Method: one partition that the port holds and thousands that are unknown, in one
// request.
func TestProducePaysForRefusals(t *testing.T) {
	const refused = 5000
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.hold = make(chan struct{})
	member := NewCredit(1 << 20)
	d := openDoor(t, port, func(o *Options) { o.MemberBytes = member })
	r := d.dial()
	many := func(n int) *kmsg.ProduceRequest {
		req := produceRequest(9, "t", id, 0, testBatch("v", 1))
		nope := produceRequest(9, "nope", id, 0, nil).Topics[0]
		nope.Partitions = slices.Repeat(nope.Partitions, n)
		req.Topics = append(req.Topics, nope)
		return req
	}
	r.send(many(refused))
	eventually(t, "it is paid for", func() bool { return member.Used() > refused*elementBytes })
	close(port.hold)
	_, b := r.answer()
	topics := decodeAnswer(t, many(0), b).(*kmsg.ProduceResponse).Topics
	if topics[0].Partitions[0].ErrorCode != 0 || len(topics[1].Partitions) != refused {
		t.Fatalf("%+v", topics[0])
	}
	eventually(t, "all credit is back", func() bool { return member.Used() == 0 })
	r.send(many(maxProduced))
	r.closed()
}

// Goal: a refusal that is about records names them from version 8 on. Method: a port that refuses two, in every
// version.
func TestProduceNamesRecords(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.refuse = fault.New(fault.InvalidRecord, "record 1 has no key")
	port.bad = []broker.BadRecord{{Index: 1, Message: "no key"}, {Index: 3, Message: "none here"}}
	r := openDoor(t, port).dial()
	for v := produceOldest; v <= apis[keyProduce].max; v++ {
		p := r.ask(produceRequest(v, "t", id, 0, testBatch("v", 4))).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if p.ErrorCode != 87 || p.BaseOffset != -1 || (v >= 8) != (len(p.ErrorRecords) == 2) {
			t.Fatalf("v%d: %+v", v, p)
		}
		if v >= 8 && (p.ErrorRecords[1].RelativeOffset != 3 || *p.ErrorRecords[1].ErrorMessage != "none here") {
			t.Errorf("v%d: %+v", v, p.ErrorRecords)
		}
	}
}

// Goal: a message fits into its field whatever it quotes. Method: an error of 100 KB with a cut in a rune.
func TestKafkaMessageIsBounded(t *testing.T) {
	s := *kafkaMessage(errors.New(strings.Repeat("a", maxMessage-1) + strings.Repeat("é", 50_000)))
	if len(s) > maxMessage+len("…") || !utf8.ValidString(s) {
		t.Fatalf("%d bytes", len(s))
	}
}

// Goal: NOT_LEADER brings the leader and its address from version 10 on. Method: a port that refuses.
func TestProduceLeaderHints(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.refuse = fault.New(fault.NotLeader, "elsewhere")
	d := openDoor(t, port)
	r := d.dial()
	for v := int16(9); v <= 13; v++ {
		resp := r.ask(produceRequest(v, "t", id, 0, testBatch("v", 1))).(*kmsg.ProduceResponse)
		p := resp.Topics[0].Partitions[0]
		hinted := p.CurrentLeader.LeaderID == 1 && p.CurrentLeader.LeaderEpoch == 3 && len(resp.Brokers) == 1
		if p.ErrorCode != 6 || hinted != (v >= 10) {
			t.Fatalf("v%d: %+v", v, resp)
		}
		if hinted && "127.0.0.1" != resp.Brokers[0].Host {
			t.Fatalf("v%d: %+v", v, resp.Brokers)
		}
	}
}

// Goal: acks 0 has no answer, and a refusal ends the connection. Method: a Produce with acks 0, then
// Metadata, whose answer must be the first; then a Produce to nowhere.
func TestProduceAcksZero(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	req := produceRequest(9, "t", id, 0, testBatch("v", 1))
	req.Acks = 0
	r.send(req)
	meta := kmsg.NewPtrMetadataRequest()
	meta.Version = 9
	r.ask(meta)
	eventually(t, "the record is there", func() bool {
		port.mu.Lock()
		defer port.mu.Unlock()
		return len(port.produced) == 1 && port.produced[0].Acks == 0
	})
	bad := produceRequest(9, "nope", id, 0, testBatch("v", 1))
	bad.Acks = 0
	r.send(bad)
	r.closed()
	eventually(t, "the cause is told", func() bool {
		causes := d.seen.causes()
		return len(causes) == 1 && causes[0] == CauseRefused
	})
}

// Goal: big payloads are not copied on their way from the socket, and the entry has room in front.
// Method: 900 KB batches; the observer counts the bytes that went by way of the input's buffer.
func TestProduceCopies(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	const rounds, size = 20, 900 << 10
	batch := testBatch(strings.Repeat("x", size), 1)
	for range rounds {
		resp := r.ask(produceRequest(9, "t", id, 0, batch)).(*kmsg.ProduceResponse)
		if resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v", resp)
		}
	}
	d.seen.mu.Lock()
	defer d.seen.mu.Unlock()
	if d.seen.payload != rounds*len(batch) {
		t.Fatalf("payload %d, want %d", d.seen.payload, rounds*len(batch))
	}
	// The first frame is read with the full buffer, the others with a head's worth of it.
	if limit := inputBytes + rounds*headReadBytes; d.seen.copied > limit {
		t.Fatalf("copied %d of %d bytes, at most %d allowed", d.seen.copied, d.seen.payload, limit)
	}
	port.mu.Lock()
	defer port.mu.Unlock()
	got := port.produced[3]
	if len(got.Frame) != state.FrameRoom+len(batch) || time.Until(got.Deadline) > 10*time.Second {
		t.Fatalf("frame of %d bytes, deadline %v", len(got.Frame), got.Deadline)
	}
}

// Goal: no more is held in flight than a budget allows, be it the connection's or the member's, and
// reading goes on once some comes back. Method: a port that keeps its answers; only so many Produce
// requests may reach it until it lets go. That the reader waits can be seen at the member's budget.
func TestProduceStopsReadingWithoutCredit(t *testing.T) {
	const small, large, requests = 350 << 10, 1 << 30, 10
	for name, limits := range map[string][2]int64{"connection": {small, large}, "member": {large, small}} {
		t.Run(name, func(t *testing.T) {
			port := newMemPort()
			id := port.topic("t", 1).ID
			port.hold = make(chan struct{})
			member := NewCredit(limits[1])
			d := openDoor(t, port, func(o *Options) { o.ConnectionBytes, o.MemberBytes = limits[0], member })
			r := d.dial()
			batch := testBatch(strings.Repeat("x", 100<<10), 1)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for range requests {
					r.send(produceRequest(9, "t", id, 0, batch))
				}
			}()
			eventually(t, "three are in flight", func() bool { return port.takenAre(3, 0) })
			if name == "member" {
				eventually(t, "the reader waits", func() bool {
					member.mu.Lock()
					defer member.mu.Unlock()
					return len(member.waiting) == 1
				})
			}
			if used := member.Used(); used > small || !port.takenAre(3, 0) {
				t.Fatalf("%d bytes in flight", used)
			}
			close(port.hold)
			for range requests {
				r.answer()
			}
			<-sent
			eventually(t, "all credit is back", func() bool { return member.Used() == 0 })
			d.seen.mu.Lock()
			defer d.seen.mu.Unlock()
			if name == "member" && d.seen.throttled == 0 {
				t.Fatal("nobody was told of the throttling")
			}
		})
	}
}
