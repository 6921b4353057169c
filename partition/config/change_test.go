package config

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
)

func set(key, value string) Op { return Op{Key: key, Value: &value} }

// Goal: a change does what its operations say, on top of what was set or in place of it. Method: one topic,
// a table of operations, compare what is set afterwards.
func TestPlan(t *testing.T) {
	before := map[string]string{KeyMaxMessageBytes: "2048", "later.key": "x"}
	for name, c := range map[string]struct {
		ops     []Op
		replace bool
		want    map[string]string
	}{
		"nothing":     {nil, false, before},
		"nothing new": {nil, true, nil},
		"set": {[]Op{set(KeyRetentionMs, "5"), set(KeyMaxMessageBytes, "4096")}, false,
			map[string]string{KeyMaxMessageBytes: "4096", KeyRetentionMs: "5", "later.key": "x"}},
		"replace":                {[]Op{set(KeyRetentionMs, "5")}, true, map[string]string{KeyRetentionMs: "5"}},
		"delete":                 {[]Op{{Key: KeyMaxMessageBytes, Verb: Delete}}, false, map[string]string{"later.key": "x"}},
		"delete what is not set": {[]Op{{Key: KeyRetentionBytes, Verb: Delete}}, false, before},
		"delete what only another build knows": {[]Op{{Key: "later.key", Verb: Delete}}, false,
			map[string]string{KeyMaxMessageBytes: "2048"}},
		"append what is there": {[]Op{{Key: KeyCleanupPolicy, Verb: Append, Value: ptr("delete")}}, false,
			map[string]string{KeyMaxMessageBytes: "2048", "later.key": "x", KeyCleanupPolicy: "delete"}},
		"append to a list": {[]Op{{Key: KeyCleanupPolicy, Verb: Append, Value: ptr("compact")}}, false,
			map[string]string{KeyMaxMessageBytes: "2048", "later.key": "x", KeyCleanupPolicy: "compact,delete"}},
		"one spelling": {[]Op{set(KeyCleanupPolicy, " delete, compact,delete,"), set(KeyMinDirtyRatio, "1e-1")}, true,
			map[string]string{KeyCleanupPolicy: "compact,delete", KeyMinDirtyRatio: "0.1"}},
	} {
		change, err := Plan(Stored(before), c.ops, c.replace)
		if got := change.Apply(before); err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if before["later.key"] != "x" || len(before) != 2 {
		t.Errorf("what was set before has changed: %v", before)
	}
}

// Goal: operations that cannot be are refused with the code that Kafka gives, and nothing of their request
// is done. Method: one bad operation each beside a good one.
func TestPlanRefuses(t *testing.T) {
	topic := Stored(map[string]string{KeyMaxMessageBytes: "2048"})
	for _, c := range []struct {
		op   Op
		code fault.Code
		says string
	}{
		{set(KeyMaxMessageBytes, "1"), fault.InvalidConfig, "from 1024"},
		{set("retention.mss", "1"), fault.InvalidConfig, "nearest is retention.ms"},
		{set("message.timestamp.difference.max.ms", "1"), fault.InvalidConfig, "its two directions"},
		{set("segment.ms", "0"), fault.InvalidConfig, "from 1 to"},
		{Op{Key: KeyMaxMessageBytes}, fault.InvalidRequest, "no value"},
		{Op{Key: "nonsense", Verb: Delete}, fault.InvalidConfig, "not in this version"},
		{Op{Key: KeyMaxMessageBytes, Verb: Append, Value: ptr("1")}, fault.InvalidConfig, "holds no list"},
		{Op{Key: KeyTimestampType, Verb: Subtract, Value: ptr("1")}, fault.InvalidConfig, "holds no list"},
		{Op{Key: KeyCleanupPolicy, Verb: Append, Value: ptr("compat")}, fault.InvalidConfig, "nearest is compact"},
		{Op{Key: KeyCleanupPolicy, Verb: Subtract, Value: ptr("delete")}, fault.InvalidConfig, "is empty"},
		{Op{Key: KeyFlushMs, Verb: Append, Value: ptr("0")}, fault.InvalidConfig, "holds no list"},
		{Op{Key: KeyCleanupPolicy, Verb: Append}, fault.InvalidRequest, "no value"},
		{Op{Key: KeyMaxMessageBytes, Verb: 4, Value: ptr("1")}, fault.InvalidRequest, "is unknown"},
		{Op{Key: KeyMaxMessageBytes, Verb: -1, Value: ptr("1")}, fault.InvalidRequest, "is unknown"},
		{set(KeyRetentionBytes, "9"), fault.InvalidRequest, "twice"},
	} {
		change, err := Plan(topic, []Op{set(KeyRetentionBytes, "5"), c.op}, false)
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.op, err)
		}
		if change.Set != nil || change.Delete != nil {
			t.Errorf("%+v was refused and changes %+v", c.op, change)
		}
	}
	_, err := Plan(topic, []Op{set("a", "1"), set("b", "1")}, false)
	if err == nil || !strings.Contains(err.Error(), "2 settings") {
		t.Errorf("all faults at once: %v", err)
	}
	many, settings := make([]Op, 100_000), map[string]*string{}
	for i := range many {
		many[i] = set(strconv.Itoa(i), "1")
		settings[many[i].Key] = many[i].Value
	}
	_, planned := Plan(topic, many, false)
	_, parsed := Parse(settings)
	for _, err := range []error{planned, parsed} {
		if fault.CodeOf(err) != fault.InvalidConfig || len(err.Error()) > 10_000 {
			t.Errorf("a request of nothing but faults makes %d bytes", len(err.Error()))
		}
	}
}

// Goal: what changes leave is always what setting the same from scratch would leave. Method: random
// operations on a topic beside a plain map as the model; what is refused must change neither.
func TestPlanAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	values := []string{"-1", "0", "2048", "LogAppendTime", "delete", "producer", "nonsense"}
	topic, model, taken := Default(), map[string]string{}, 0
	for range 5000 {
		ops, replace := make([]Op, rng.IntN(3)), rng.IntN(4) == 0
		for i := range ops {
			ops[i] = set(Keys()[rng.IntN(len(keys))], values[rng.IntN(len(values))])
			ops[i].Verb = Verb(rng.IntN(2))
		}
		change, err := Plan(topic, ops, replace)
		if err != nil {
			continue
		}
		taken++
		if replace {
			clear(model)
		}
		for _, op := range ops {
			if delete(model, op.Key); op.Verb == Set {
				model[op.Key] = *op.Value
			}
		}
		if topic = Stored(change.Apply(topic.Overrides)); !maps.Equal(topic.Overrides, model) {
			t.Fatalf("%+v gives %v, want %v", ops, topic.Overrides, model)
		}
		for _, e := range Describe(topic) {
			if v, ok := model[e.Key]; ok != (e.Source == SourceTopic) || ok && v != e.Value {
				t.Fatalf("described as %+v, set is %q", e, v)
			}
		}
	}
	if taken < 500 {
		t.Errorf("only %d changes were taken", taken)
	}
}
