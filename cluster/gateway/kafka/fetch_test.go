package kafka

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// fetchPort answers every Fetch with what the test says.
type fetchPort struct {
	*memPort
	answer broker.Fetched
	asked  chan broker.Fetch
}

func (p *fetchPort) Fetch(f broker.Fetch, done func(broker.Fetched)) func() {
	p.asked <- f
	done(p.answer)
	return func() {}
}

// Goal: the hand-made head of an answer is what kmsg makes of the same facts, in every version: many
// batches, refusals, divergence, leaders. Method: a port with a fixed answer; the decoded frame is
// compared with the expected structure.
func TestFetchAnswerEveryVersion(t *testing.T) {
	port := &fetchPort{memPort: newMemPort(), asked: make(chan broker.Fetch, 1)}
	id := port.topic("t", 1).ID
	one, two := testBatch("one", 1), testBatch("two", 3)
	port.answer = broker.Fetched{Release: func() {}, Partitions: []broker.FetchedPartition{
		{HighWatermark: 9, LastStable: 8, LogStart: 1, Batches: [][]byte{one, two}},
		{Err: fault.New(fault.NotLeader, "elsewhere"), HighWatermark: 5},
		{HighWatermark: 4, LastStable: 4, Diverging: &broker.EpochEnd{Epoch: 2, End: 3}},
		{Err: fault.New(fault.OffsetOutOfRange, "beyond")},
	}}
	r := openDoorOn(t, port).dial()
	for v := int16(4); v <= 18; v++ {
		req := fetchRequest(v, "t", id, 5)
		req.MaxWaitMillis, req.Topics[0].Partitions[0].LastFetchedEpoch = 100, 7
		first := req.Topics[0]
		first.Partitions = append(first.Partitions, first.Partitions[0])
		first.Partitions[1].Partition = 1
		req.Topics = []kmsg.FetchRequestTopic{first, first}
		resp := r.ask(req).(*kmsg.FetchResponse)
		asked := <-port.asked
		if len(asked.Partitions) != 4 || asked.Partitions[1].Partition != 1 || asked.Partitions[0].From != 5 {
			t.Fatalf("v%d: asked %+v", v, asked)
		}
		wait := time.Until(asked.Deadline)
		if wait > 100*time.Millisecond || asked.Partitions[0].TopicID != idIn(v, id) {
			t.Fatalf("v%d: asked %+v", v, asked)
		}
		want := []kmsg.FetchResponseTopicPartition{fetched(0, 0), fetched(1, 6), fetched(0, 0), fetched(1, 1)}
		want[0].RecordBatches = bytes.Join([][]byte{one, two}, nil)
		want[0].HighWatermark, want[0].LastStableOffset = 9, 8
		want[2].HighWatermark, want[2].LastStableOffset = 4, 4
		if v >= 5 {
			want[0].LogStartOffset, want[2].LogStartOffset = 1, 0
		}
		if v >= 12 {
			want[2].DivergingEpoch.Epoch, want[2].DivergingEpoch.EndOffset = 2, 3
		}
		if v >= 16 {
			want[1].CurrentLeader.LeaderID, want[1].CurrentLeader.LeaderEpoch = 1, 3
		}
		got := append(resp.Topics[0].Partitions, resp.Topics[1].Partitions...)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("v%d:\ngot  %+v\nwant %+v", v, got, want)
		}
		if endpoints := len(resp.Brokers) == 1 && *resp.Brokers[0].Rack == "r1"; endpoints != (v >= 16) {
			t.Fatalf("v%d: %+v", v, resp.Brokers)
		}
	}
}

// idIn is the topic id that a request of a version can carry.
func idIn(version int16, id record.TopicID) record.TopicID {
	if version < 13 {
		return record.TopicID{}
	}
	return id
}

// fetched is an answer without records.
func fetched(p int32, code int16) kmsg.FetchResponseTopicPartition {
	f := kmsg.NewFetchResponseTopicPartition()
	f.Partition, f.ErrorCode, f.RecordBatches = p, code, []byte{}
	f.HighWatermark, f.LastStableOffset, f.LogStartOffset = -1, -1, -1
	return f
}

// Goal: no session is ever made, and one that is asked for is refused by Kafka's code. Method: each kind
// of epoch.
func TestFetchSessions(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port)
	r := d.dial()
	for v := int16(7); v <= 18; v++ {
		for _, tt := range []struct {
			session, epoch int32
			code           int16
		}{{0, 0, 0}, {0, -1, 0}, {5, -1, 0}, {5, 1, 70}, {0, 1, 70}} {
			req := fetchRequest(v, "t", id, 0)
			req.SessionID, req.SessionEpoch = tt.session, tt.epoch
			resp := r.ask(req).(*kmsg.FetchResponse)
			if resp.ErrorCode != tt.code || resp.SessionID != 0 || (len(resp.Topics) == 0) != (tt.code != 0) {
				t.Fatalf("v%d %+v: %+v", v, tt, resp)
			}
		}
	}
}

// Goal: Fetch requests that are in flight together share the connection's credit. Method: three long
// polls, each asking for all of it; the port sees one at a time.
func TestFetchSharesCredit(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	d := openDoor(t, port, func(o *Options) { o.ConnectionBytes = 1 << 20 })
	r := d.dial()
	for range 3 {
		req := longFetch(id)
		req.MaxBytes = 50 << 20
		r.send(req)
	}
	eventually(t, "the first waits with all the credit", func() bool {
		port.mu.Lock()
		defer port.mu.Unlock()
		for w := range port.waiters {
			return len(port.waiters) == 1 && w.f.MaxBytes <= 1<<20
		}
		return false
	})
	w := d.dial()
	for range 3 {
		w.ask(produceRequest(9, "t", id, 0, testBatch("v", 1)))
	}
	for range 3 {
		r.answer()
	}
	port.mu.Lock()
	defer port.mu.Unlock()
	if port.mostPolls != 1 {
		t.Fatalf("%d long polls were in flight together", port.mostPolls)
	}
}

// Goal: a panic while an answer is encoded costs its connection only. Method: a port that answers fewer
// partitions than were asked for.
func TestEncodePanicCostsItsConnection(t *testing.T) {
	port := &fetchPort{memPort: newMemPort(), asked: make(chan broker.Fetch, 9)}
	id := port.topic("t", 1).ID
	released := make(chan struct{})
	port.answer = broker.Fetched{Release: func() { close(released) }}
	member := NewCredit(1 << 20)
	d := openDoorOn(t, port, func(o *Options) { o.MemberBytes = member })
	r := d.dial()
	r.send(fetchRequest(12, "t", id, 0))
	r.closed()
	<-released
	d.dial().ask(kmsg.NewPtrMetadataRequest())
	eventually(t, "credit is back and the panic was told", func() bool {
		d.seen.mu.Lock()
		defer d.seen.mu.Unlock()
		return member.Used() == 0 && d.seen.panics == 1
	})
}

// Goal: the address of a leader stands in the answer only when it can be dialled. Method: a leader
// without an address.
func TestFetchLeaderWithoutAddress(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.change(func(tab *placement.Table) { tab.Members = map[record.MemberID]*placement.Member{} })
	port.leaderless = true
	l := leaderNodes{c: &conn{s: &server{port: port}}}
	if leader, epoch := l.leader("t", id, 0); leader != -1 || epoch != -1 || len(l.list()) != 0 {
		t.Fatalf("leader %d epoch %d, %+v", leader, epoch, l.list())
	}
	if leader, _ := l.leader("nope", record.TopicID{}, 0); leader != -1 {
		t.Fatalf("leader %d of a topic that is not", leader)
	}
}
