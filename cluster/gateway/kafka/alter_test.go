package kafka

import (
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: kadm changes configurations and deletes records. Method: as an operator would, and look at the
// port's table and log.
func TestKadmAlters(t *testing.T) {
	port := newMemPort()
	id := port.topic("t", 2).ID
	d := openDoor(t, port)
	r := d.dial()
	for range 3 {
		r.ask(produceRequest(9, "t", id, 0, testBatch("v", 2)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	adm := kadm.NewClient(d.client())
	set := func(key, value string) kadm.AlterConfig { return kadm.AlterConfig{Name: key, Value: &value} }
	altered, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{set("retention.ms", "5"),
		set("max.message.bytes", "4096")}, "t")
	if err != nil || len(altered) != 1 || altered[0].Err != nil || altered[0].Name != "t" {
		t.Fatalf("%+v, %v", altered, err)
	}
	gone := kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}
	if altered, err = adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{gone}, "t"); err != nil || altered[0].Err != nil {
		t.Fatalf("%+v, %v", altered, err)
	}
	if is := port.Table().Topics["t"].Config.Overrides; len(is) != 1 || is["max.message.bytes"] != "4096" {
		t.Fatalf("set is %v", is)
	}
	state := []kadm.AlterConfig{set("retention.bytes", "7")}
	if altered, err = adm.AlterTopicConfigsState(ctx, state, "t"); err != nil || altered[0].Err != nil {
		t.Fatalf("%+v, %v", altered, err)
	}
	if is := port.Table().Topics["t"].Config.Overrides; len(is) != 1 || is["retention.bytes"] != "7" {
		t.Fatalf("set is %v", is)
	}
	if altered, err = adm.AlterBrokerConfigs(ctx, state, 1); err != nil || altered[0].Err == nil {
		t.Fatalf("%+v, %v", altered, err)
	}
	var at kadm.Offsets
	at.AddOffset("t", 0, 4, -1)
	at.AddOffset("t", 1, 1, -1)
	deleted, err := adm.DeleteRecords(ctx, at)
	if err != nil || deleted["t"][0].LowWatermark != 4 || deleted["t"][0].Err != nil || deleted["t"][1].Err == nil {
		t.Fatalf("%+v, %v", deleted, err)
	}
}

// Goal: what contradicts itself is refused with Kafka's codes, one result for each resource and each
// partition, the others are done. Method: one request with everything in every version of the three keys.
func TestAlterRefusals(t *testing.T) {
	for v := int16(0); v <= apis[keyIncrementalAlterConfigs].max; v++ {
		port := newMemPort()
		for _, name := range []string{"ok", "list", "both", "null", "op", "twice"} {
			port.topic(name, 1)
		}
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Version = v
		add := func(kind kmsg.ConfigResourceType, name string, op kmsg.IncrementalAlterConfigOp, kvs ...string) {
			q := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kind, ResourceName: name}
			for i := 0; i < len(kvs); i += 2 {
				c := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: kvs[i], Op: op}
				if kvs[i+1] != "null" {
					c.Value = &kvs[i+1]
				}
				q.Configs = append(q.Configs, c)
			}
			req.Resources = append(req.Resources, q)
		}
		add(2, "ok", 0, "retention.ms", "5")
		add(2, "list", 2, "retention.ms", "5")
		add(2, "both", 0, "retention.ms", "5", "retention.ms", "6")
		add(2, "null", 0, "retention.ms", "null")
		add(2, "op", 9, "retention.ms", "5")
		add(2, "twice", 0, "retention.ms", "5")
		add(2, "missing", 0, "retention.ms", "5")
		add(4, "1", 0, "retention.ms", "5")
		add(2, "twice", 0, "retention.ms", "6")
		rs := openDoor(t, port).dial().ask(req).(*kmsg.IncrementalAlterConfigsResponse).Resources
		want := map[string]int16{"ok": 0, "list": 40, "both": 42, "null": 42, "op": 42, "twice": 42, "missing": 3, "1": 42}
		for _, a := range rs {
			code, known := want[a.ResourceName]
			if !known || a.ErrorCode != code || (a.ErrorMessage == nil) != (code == 0) || len(rs) != len(want) {
				t.Fatalf("v%d: %+v", v, a)
			}
		}
		for name, topic := range port.Table().Topics {
			if len(topic.Config.Overrides) > 0 != (name == "ok") {
				t.Fatalf("v%d: %s has %v", v, name, topic.Config.Overrides)
			}
		}
	}
}

// Goal: AlterConfigs replaces what is set, refuses null values and whoever stands in it twice, and changes
// nothing where it only validates. Method: raw requests in every version.
func TestAlterConfigsEveryVersion(t *testing.T) {
	for v := int16(0); v <= apis[keyAlterConfigs].max; v++ {
		port := newMemPort()
		port.topic("t", 1)
		r := openDoor(t, port).dial()
		alter := func(validate bool, code int16, kvs ...string) {
			t.Helper()
			req := kmsg.NewPtrAlterConfigsRequest()
			req.Version, req.ValidateOnly = v, validate
			q := kmsg.AlterConfigsRequestResource{ResourceType: 2, ResourceName: "t"}
			for i := 0; i < len(kvs); i += 2 {
				c := kmsg.AlterConfigsRequestResourceConfig{Name: kvs[i], Value: &kvs[i+1]}
				if kvs[i+1] == "null" {
					c.Value = nil
				}
				q.Configs = append(q.Configs, c)
			}
			req.Resources = append(req.Resources, q)
			rs := r.ask(req).(*kmsg.AlterConfigsResponse).Resources
			if len(rs) != 1 || rs[0].ErrorCode != code || rs[0].ResourceName != "t" || rs[0].ResourceType != 2 {
				t.Fatalf("v%d %v: %+v", v, kvs, rs)
			}
		}
		alter(false, 0, "retention.ms", "5", "max.message.bytes", "4096")
		alter(true, 0, "retention.ms", "6")
		alter(false, 40, "retention.ms", "7", "nonsense", "1")
		alter(false, 42, "retention.ms", "null")
		if is := port.Table().Topics["t"].Config.Overrides; len(is) != 2 || is["retention.ms"] != "5" {
			t.Fatalf("v%d: %v", v, is)
		}
		alter(false, 0)
		if is := port.Table().Topics["t"].Config.Overrides; len(is) != 0 {
			t.Fatalf("v%d: %v", v, is)
		}
		broker := kmsg.NewPtrAlterConfigsRequest()
		broker.Version = v
		broker.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: 4, ResourceName: "1"}}
		if rs := r.ask(broker).(*kmsg.AlterConfigsResponse).Resources; rs[0].ErrorCode != 42 ||
			!strings.Contains(*rs[0].ErrorMessage, "resource type 4") {
			t.Fatalf("v%d: %+v", v, rs)
		}
	}
}

// Goal: every partition of DeleteRecords gets one result, with the log start or -1. Method: offsets in,
// before and behind the log, the high watermark, partitions that are not there or stand in it twice, in
// every version.
func TestDeleteRecordsEveryVersion(t *testing.T) {
	type ask = kmsg.DeleteRecordsRequestTopicPartition
	for v := int16(0); v <= apis[keyDeleteRecords].max; v++ {
		port := newMemPort()
		id := port.topic("t", 5).ID
		r := openDoor(t, port).dial()
		for p := range int32(5) {
			for range 2 {
				produce := produceRequest(9, "t", id, 0, testBatch("v", 5))
				produce.Topics[0].Partitions[0].Partition = p
				r.ask(produce)
			}
		}
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.Version, req.TimeoutMillis = v, 10_000
		req.Topics = []kmsg.DeleteRecordsRequestTopic{
			{Topic: "t", Partitions: []ask{{Partition: 0, Offset: 3}, {Partition: 1, Offset: -1}, {Partition: 2, Offset: 11}}},
			{Topic: "x", Partitions: []ask{{Partition: 0, Offset: 1}}},
			{Topic: "t", Partitions: []ask{{Partition: 3, Offset: -2}, {Partition: 4, Offset: 1}, {Partition: 4, Offset: 2}}},
			{Topic: "empty"},
		}
		rs := r.ask(req).(*kmsg.DeleteRecordsResponse).Topics
		want := map[string]map[int32][2]int64{
			"t": {0: {0, 3}, 1: {0, 10}, 2: {1, -1}, 3: {1, -1}, 4: {42, -1}}, "x": {0: {3, -1}},
		}
		if len(rs) != len(want) {
			t.Fatalf("v%d: %+v", v, rs)
		}
		for _, rt := range rs {
			if len(rt.Partitions) != len(want[rt.Topic]) {
				t.Fatalf("v%d: %+v", v, rt)
			}
			for _, p := range rt.Partitions {
				if got := [2]int64{int64(p.ErrorCode), p.LowWatermark}; got != want[rt.Topic][p.Partition] {
					t.Fatalf("v%d: %s %+v", v, rt.Topic, p)
				}
			}
		}
	}
}
