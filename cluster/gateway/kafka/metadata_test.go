package kafka

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
)

// metadataRequest asks for topics by name; nil means null.
func metadataRequest(version int16, names []string, auto bool) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.AllowAutoTopicCreation = version, auto
	if names != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &n})
	}
	return req
}

// Goal: what all and none mean in each version, and what is told of a topic. Method: null, empty and
// named in every version over two topics.
func TestMetadataAllAndNone(t *testing.T) {
	port := newMemPort()
	port.topic("b", 1)
	port.topic("a", 2)
	d := openDoor(t, port)
	r := d.dial()
	for v := int16(0); v <= 13; v++ {
		null := r.ask(metadataRequest(v, nil, false)).(*kmsg.MetadataResponse)
		empty := r.ask(metadataRequest(v, []string{}, false)).(*kmsg.MetadataResponse)
		if len(null.Topics) != 2 || *null.Topics[0].Topic != "a" {
			t.Fatalf("v%d null: %+v", v, null.Topics)
		}
		if want := map[bool]int{true: 2, false: 0}[v == 0]; len(empty.Topics) != want {
			t.Fatalf("v%d empty: %+v", v, empty.Topics)
		}
		a := null.Topics[0]
		if len(a.Partitions) != 2 || a.Partitions[1].Leader != 1 || len(a.Partitions[1].ISR) != 1 {
			t.Fatalf("v%d: %+v", v, a)
		}
		if v >= 10 && a.TopicID != port.Table().Topics["a"].ID {
			t.Fatalf("v%d: topic id %x", v, a.TopicID)
		}
		if v >= 7 && a.Partitions[0].LeaderEpoch != 3 {
			t.Fatalf("v%d: %+v", v, a.Partitions[0])
		}
		b := null.Brokers[0]
		if len(null.Brokers) != 1 || b.NodeID != 1 || b.Host != "127.0.0.1" || b.Port == 0 {
			t.Fatalf("v%d: %+v", v, null.Brokers)
		}
		if v >= 2 && (*null.ClusterID != "test-cluster" || null.ControllerID != 1 || *b.Rack != "r1") {
			t.Fatalf("v%d: %+v", v, null)
		}
	}
}

// Goal: topics are made on first use exactly when both sides allow it. Method: every combination, in
// versions with and without the flag.
func TestMetadataAutoCreate(t *testing.T) {
	tests := []struct {
		version    int16
		port, flag bool
		made       bool
	}{
		{1, true, false, true}, {3, true, false, true}, {3, false, false, false},
		{4, true, false, false}, {4, true, true, true}, {4, false, true, false},
		{12, true, true, true}, {12, true, false, false},
	}
	for _, tt := range tests {
		port := newMemPort()
		port.autoCreate = tt.port
		d := openDoor(t, port)
		r := d.dial()
		req := metadataRequest(tt.version, []string{"new", "bad!", "new"}, tt.flag)
		want := map[bool][]int16{true: {0, 17}, false: {3, 3, 3}}[tt.made]
		topics := r.ask(req).(*kmsg.MetadataResponse).Topics
		if made := port.Table().Topics["new"] != nil; made != tt.made {
			t.Fatalf("%+v: made %v", tt, made)
		}
		if len(topics) != len(want) || topics[0].ErrorCode != want[0] || topics[1].ErrorCode != want[1] {
			t.Fatalf("%+v: %+v", tt, topics)
		}
		d.stop()
	}
}

// Goal: one request makes a limited number of topics. Method: ask for twice as many.
func TestMetadataAutoCreateLimit(t *testing.T) {
	port := newMemPort()
	port.autoCreate = true
	d := openDoor(t, port)
	var names []string
	for i := range 2 * autoCreateMost {
		names = append(names, fmt.Sprintf("t%d", i))
	}
	topics := d.dial().ask(metadataRequest(12, names, true)).(*kmsg.MetadataResponse).Topics
	made := len(port.Table().Topics)
	if made != autoCreateMost || topics[0].ErrorCode != 0 || topics[autoCreateMost].ErrorCode != 3 {
		t.Fatalf("%d topics made, %+v", made, topics[autoCreateMost])
	}
}

// Goal: an unknown leader, and one that cannot be dialled, is LEADER_NOT_AVAILABLE with leader -1; topics
// go by id from version 12 on. Method: a port without leaders; ids known and unknown.
func TestMetadataLeaderlessAndByID(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.leaderless = true
	d := openDoor(t, port)
	r := d.dial()
	p := r.ask(metadataRequest(9, nil, false)).(*kmsg.MetadataResponse).Topics[0].Partitions[0]
	if p.ErrorCode != 5 || p.Leader != -1 || p.LeaderEpoch != -1 || p.Replicas == nil {
		t.Fatalf("%+v", p)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	req.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}, {TopicID: record.TopicID{1}}}
	resp := r.ask(req).(*kmsg.MetadataResponse)
	if *resp.Topics[0].Topic != "t" || resp.Topics[1].Topic != nil || resp.Topics[1].ErrorCode != 100 {
		t.Fatalf("%+v", resp.Topics)
	}
}

// Goal: an id counts and the empty name beside it does not, as Java's Admin asks; nothing is made for it. Method:
// ids known and unknown with an empty name, and an id with another topic's name, where topics may be made.
func TestMetadataByIDBesideAName(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 1).ID
	port.autoCreate = true
	empty, other := "", "other"
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.AllowAutoTopicCreation = 12, true
	req.Topics = []kmsg.MetadataRequestTopic{
		{TopicID: id, Topic: &empty}, {TopicID: record.TopicID{1}, Topic: &empty}, {TopicID: record.TopicID{2}, Topic: &other},
	}
	got := openDoor(t, port).dial().ask(req).(*kmsg.MetadataResponse).Topics
	if len(got) != 3 || got[0].Topic == nil || *got[0].Topic != "t" || got[0].TopicID != id || got[0].ErrorCode != 0 {
		t.Fatalf("%+v", got)
	}
	for i, unknown := range got[1:] {
		if unknown.ErrorCode != 100 || unknown.TopicID != req.Topics[i+1].TopicID {
			t.Errorf("%+v", unknown)
		}
	}
	if len(port.Table().Topics) != 1 {
		t.Errorf("topics were made")
	}
}

// Goal: other members are told with their own addresses, those without one are left out. Method: a table
// of four.
func TestNodes(t *testing.T) {
	port := newMemPort()
	port.change(func(tab *placement.Table) {
		tab.Members = map[record.MemberID]*placement.Member{
			3: {ID: 3, Address: "c.example:9092"}, 1: {ID: 1, Address: "wrong:1"},
			2: {ID: 2}, 4: {ID: 4, Address: "d:x"},
		}
	})
	c := &conn{s: &server{port: port, self: endpoint{"self", 7}}}
	nodes := c.nodes(port.Table())
	want := []node{{endpoint{"self", 7}, 1, nil}, {endpoint{"c.example", 9092}, 3, nil}}
	if !slices.Equal(nodes, want) {
		t.Fatalf("%+v", nodes)
	}
}

// Goal: a producer makes its topic by itself. Method: franz-go with auto-creation allowed.
func TestKgoAutoCreate(t *testing.T) {
	port := newMemPort()
	port.autoCreate = true
	d := openDoor(t, port)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := d.client(kgo.AllowAutoTopicCreation())
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "fresh", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
