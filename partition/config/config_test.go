package config

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

func ptr(s string) *string { return &s }

// Goal: the defaults are Kafka's, and what is set is obeyed and remembered as it was set. Method: parse
// settings, compare.
func TestParseTakesWhatTheTableAccepts(t *testing.T) {
	topic, err := Parse(nil)
	if err != nil || topic.MaxMessageBytes != 1048588 || topic.LogAppendTime || topic.Overrides != nil ||
		topic.RetentionMs != KeepAll || topic.RetentionBytes != KeepAll {
		t.Fatalf("defaults: %+v, %v", topic, err)
	}
	topic, err = Parse(map[string]*string{
		KeyMaxMessageBytes: ptr("2048"), KeyTimestampType: ptr("LogAppendTime"),
		KeyCompressionType: ptr("producer"), KeyCleanupPolicy: ptr("delete"), KeyRetentionMs: nil,
	})
	if err != nil || topic.MaxMessageBytes != 2048 || !topic.LogAppendTime {
		t.Fatalf("%+v, %v", topic, err)
	}
	if _, set := topic.Overrides[KeyRetentionMs]; set || len(topic.Overrides) != 4 {
		t.Errorf("a null value means the default, overrides are %v", topic.Overrides)
	}
	if topic.Class() != state.ClassLong {
		t.Errorf("class is %s", topic.Class())
	}
}

// Goal: retention is taken as it was set, what no clock counts is for ever, and topics of up to six hours
// are of the short class. Method: values on both sides of each border, as a request and out of the log.
func TestRetention(t *testing.T) {
	for _, c := range []struct {
		ms, bytes string
		wantMs    int64
		wantBytes int64
		class     state.Class
	}{
		{"-1", "-1", KeepAll, KeepAll, state.ClassLong},
		{"0", "0", 1, 1, state.ClassShort},
		{"1", "1", 1, 1, state.ClassShort},
		{"21600000", "1", 21_600_000, 1, state.ClassShort},
		{"21600001", "1073741824", 21_600_001, 1 << 30, state.ClassLong},
		{"9223372036854", "5", 9_223_372_036_854, 5, state.ClassLong},
		{"9223372036855", "5", KeepAll, 5, state.ClassLong},
		{"9223372036854775807", "9223372036854775807", KeepAll, math.MaxInt64, state.ClassLong},
	} {
		parsed, err := Parse(map[string]*string{KeyRetentionMs: &c.ms, KeyRetentionBytes: &c.bytes})
		if err != nil {
			t.Fatal(err)
		}
		stored := Stored(map[string]string{KeyRetentionMs: c.ms, KeyRetentionBytes: c.bytes})
		for _, topic := range []Topic{parsed, stored} {
			if topic.RetentionMs != c.wantMs || topic.RetentionBytes != c.wantBytes || topic.Class() != c.class {
				t.Errorf("%s, %s: %+v", c.ms, c.bytes, topic)
			}
		}
	}
	unreadable := Stored(map[string]string{KeyRetentionMs: "a week", KeyRetentionBytes: "-7"})
	if unreadable.RetentionMs != KeepAll || unreadable.RetentionBytes != KeepAll {
		t.Errorf("what cannot be read must keep everything: %+v", unreadable)
	}
}

// Goal: a cleanup policy is taken in any order and kept in one spelling; a topic that compacts is of the class
// of compacted ones, and retention counts only with delete. Method: every policy, beside a retention of an
// hour, as a request and out of the log.
func TestCleanupPolicy(t *testing.T) {
	for _, c := range []struct {
		policy, kept string
		compact      bool
		retentionMs  int64
		class        state.Class
	}{
		{"delete", "delete", false, 3_600_000, state.ClassShort},
		{"compact", "compact", true, KeepAll, state.ClassCompact},
		{"compact,delete", "compact,delete", true, 3_600_000, state.ClassCompact},
		{"delete, compact", "compact,delete", true, 3_600_000, state.ClassCompact},
		{"compact,compact", "compact", true, KeepAll, state.ClassCompact},
	} {
		parsed, err := Parse(map[string]*string{
			KeyCleanupPolicy: &c.policy, KeyRetentionMs: ptr("3600000"), KeyRetentionBytes: ptr("5"),
			KeyMinCompactionLag: ptr("7"), KeyDeleteRetentionMs: ptr("0"), KeyMinDirtyRatio: ptr("0.25"),
		})
		if err != nil || parsed.Overrides[KeyCleanupPolicy] != c.kept {
			t.Fatalf("%q is kept as %q, %v", c.policy, parsed.Overrides[KeyCleanupPolicy], err)
		}
		for _, topic := range []Topic{parsed, Stored(parsed.Overrides)} {
			if topic.Compact != c.compact || topic.RetentionMs != c.retentionMs || topic.Class() != c.class ||
				(topic.RetentionBytes == 5) != (c.retentionMs > 0) ||
				topic.MinLagMs != 7 || topic.DeleteRetentionMs != 0 || topic.DirtyRatio != 0.25 {
				t.Errorf("%q: %+v", c.policy, topic)
			}
		}
	}
	preset := Default()
	if preset.Compact || preset.MinLagMs != 0 || preset.DeleteRetentionMs != 86_400_000 || preset.DirtyRatio != 0.5 ||
		preset.TimestampAfterMs != 3_600_000 || preset.TimestampBeforeMs != math.MaxInt64 {
		t.Errorf("defaults: %+v", preset)
	}
	later := Stored(map[string]string{
		KeyCleanupPolicy: "archive", KeyRetentionMs: "1", KeyMinDirtyRatio: "2", KeyMinCompactionLag: "x",
		KeyDeleteRetentionMs: "-5", KeyTimestampBefore: "?", KeyTimestampAfter: "",
	})
	later.Overrides, later.keep = nil, false
	if !reflect.DeepEqual(later, Default()) {
		t.Errorf("what cannot be read must keep everything, and count as the default: %+v", later)
	}
}

// Goal: what clients of Kafka set although it says nothing new is taken and shown as set. Method: each of
// these values, beside what is described.
func TestHarmlessValues(t *testing.T) {
	for key, values := range map[string][]string{
		KeyMaxCompactionLag: {"9223372036854775807"},
		KeyMinInsync:        {"1"},
		KeyUncleanElection:  {"false"},
		KeyFlushMessages:    {"1", "9223372036854775807"},
	} {
		for _, value := range values {
			topic, err := Parse(map[string]*string{key: &value})
			if err != nil {
				t.Errorf("%s=%s: %v", key, value, err)
			}
			for _, e := range Describe(topic) {
				if e.Key == key && (e.Value != value || !e.ReadOnly || e.Source != SourceTopic) {
					t.Errorf("%s=%s is described as %+v", key, value, e)
				}
			}
		}
	}
}

// Goal: every value that this version cannot obey is refused with InvalidConfig, and the message names the
// limit and what is accepted. Method: one bad setting each, look for the words.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ key, value, says string }{
		{KeyMaxMessageBytes, "1023", "from 1024 to 10485760"},
		{KeyMaxMessageBytes, "10485761", "from 1024 to 10485760"},
		{KeyMaxMessageBytes, "+2048", "whole number"},
		{KeyMaxMessageBytes, " 2048", "whole number"},
		{KeyMaxMessageBytes, "99999999999999999999", "whole number"},
		{KeyMaxMessageBytes, "", "whole number"},
		{KeyCompressionType, "zstd", `takes only "producer"`},
		{KeyTimestampType, "createtime", "CreateTime, LogAppendTime"},
		{KeyCleanupPolicy, "compcat", "nearest is compact"},
		{KeyCleanupPolicy, "delete,Compact", `"Compact" is none of compact, delete`},
		{KeyCleanupPolicy, " , ", "is empty"},
		{KeyMinDirtyRatio, "1.1", "from 0 to 1"},
		{KeyMinDirtyRatio, "NaN", "from 0 to 1"},
		{KeyMinDirtyRatio, "half", "from 0 to 1"},
		{KeyMinDirtyRatio, "", "from 0 to 1"},
		{KeyMinCompactionLag, "-1", "from 0 to 9223372036854775807"},
		{KeyMaxCompactionLag, "1000", "not in this version"},
		{KeyDeleteRetentionMs, "-1", "from 0 to 9223372036854775807"},
		{KeyTimestampBefore, "-1", "from 0 to 9223372036854775807"},
		{KeyTimestampAfter, "1h", "whole number"},
		{KeyTimestampType, "LogAppend", "nearest is LogAppendTime"},
		{KeyMinInsync, "2", `takes only "1"`},
		{KeyUncleanElection, "true", `takes only "false"`},
		{KeyFlushMs, "-1", "from 0 to 9223372036854775807"},
		{KeyFlushPolicy, "none", "none of durable, interval"},
		{"message.timestamp.difference.max.ms", "1", "message.timestamp.before.max.ms"},
		{KeyRetentionMs, "-2", "from -1 to 9223372036854775807"},
		{KeyRetentionMs, "7d", "whole number"},
		{KeyRetentionBytes, "-2", "from -1 to 9223372036854775807"},
		{KeyRetentionBytes, "9223372036854775808", "whole number"},
		{"segment.bytes", "13", "from 14 to 2147483647"},
		{"segment.ms", "0", "from 1 to"},
		{"preallocate", "maybe", "none of false, true"},
		{"message.timestamp.difference.max.ms", "1", "its two directions are"},
		{KeyFlushMessages, "10000", "durable before it is acknowledged"},
		{"retention.m", "-1", "nearest is retention.ms"},
		{"max.mesage.bytes", "2048", "nearest is max.message.bytes"},
		{"message.timestamp", "CreateTime", "nearest is message.timestamp.type"},
		{"", "x", "not in this version"},
	} {
		_, err := Parse(map[string]*string{c.key: ptr(c.value)})
		if fault.CodeOf(err) != fault.InvalidConfig || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%q: %v", c.key, c.value, err)
		}
	}
}

// Goal: all faults are told at once, in a fixed order, a null value of an unknown key among them, and a
// client cannot blow the message up. Method: one request with many faults, twice.
func TestParseReportsAllFaults(t *testing.T) {
	settings := map[string]*string{
		KeyRetentionMs: ptr("-7"), KeyCleanupPolicy: ptr("archive"), "nonsense": nil,
		strings.Repeat("k", 1<<16): ptr(strings.Repeat("v", 1<<16)),
	}
	_, err := Parse(settings)
	_, again := Parse(settings)
	if fault.CodeOf(err) != fault.InvalidConfig || err.Error() != again.Error() {
		t.Fatalf("%v, then %v", err, again)
	}
	for _, says := range []string{"4 settings", KeyRetentionMs + "=", KeyCleanupPolicy + "=", `"nonsense"`} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q is missing in %v", says, err)
		}
	}
	if len(err.Error()) > 3000 {
		t.Errorf("the message has %d bytes", len(err.Error()))
	}
}

// Goal: what the log holds is never refused: values of a build with other bounds stay, and count as the
// default where they cannot be read. Method: settings that Parse refuses.
func TestStoredRefusesNothing(t *testing.T) {
	topic := Stored(map[string]string{KeyMaxMessageBytes: "many", KeyRetentionMs: "5", "later.key": "x"})
	if topic.MaxMessageBytes != DefaultMaxMessageBytes || len(topic.Overrides) != 3 {
		t.Fatalf("%+v", topic)
	}
	if got := Stored(map[string]string{KeyMaxMessageBytes: "100000000"}); got.MaxMessageBytes != 100_000_000 {
		t.Errorf("a value beyond today's bound became %d", got.MaxMessageBytes)
	}
}

// Goal: DescribeConfigs lists every key once, with default, source and whether it can be changed. Method:
// compare with a topic that sets one key.
func TestDescribe(t *testing.T) {
	topic, err := Parse(map[string]*string{KeyMaxMessageBytes: ptr("2048")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range Describe(topic) {
		names = append(names, e.Key)
		if (e.Source == SourceTopic) != (e.Key == KeyMaxMessageBytes) || e.Doc == "" || e.Default == "" {
			t.Errorf("%+v", e)
		}
		fixed := slices.Contains([]string{
			KeyCompressionType, KeyMaxCompactionLag, KeyMinInsync, KeyUncleanElection, KeyFlushMessages,
		}, e.Key)
		if fixed != e.ReadOnly {
			t.Errorf("%s read-only: %v", e.Key, e.ReadOnly)
		}
		if e.Key == KeyMaxMessageBytes && (e.Value != "2048" || e.Default != "1048588" || e.Type != TypeInt) {
			t.Errorf("%+v", e)
		}
		if _, err := Parse(map[string]*string{e.Key: &e.Value}); err != nil {
			t.Errorf("what is described is not taken back: %v", err)
		}
	}
	if !slices.Equal(names, Keys()) {
		t.Errorf("keys %v, table %v", names, Keys())
	}
}

// Goal: a broker shows what its member runs with, and says which of it was set. Method: compare with
// defaults that differ in one field; empty fields must not be shown.
func TestDescribeBroker(t *testing.T) {
	defaults := Broker{ID: 1, Partitions: 1, Replicas: 1, Offsets: OffsetsPartitions}
	running := defaults
	running.Partitions, running.AutoCreate, running.Advertised = 4, true, "127.0.0.1:9092"
	got := map[string]Entry{}
	for _, e := range DescribeBroker(running, defaults) {
		if _, twice := got[e.Key]; twice || !e.ReadOnly || e.Value == "" {
			t.Errorf("%+v", e)
		}
		got[e.Key] = e
	}
	for key, want := range map[string]struct {
		value  string
		source Source
	}{
		"num.partitions":             {"4", SourceBroker},
		"default.replication.factor": {"1", SourceDefault},
		"auto.create.topics.enable":  {"true", SourceBroker},
		"advertised.listeners":       {"PLAINTEXT://127.0.0.1:9092", SourceBroker},
		"message.max.bytes":          {"1048588", SourceDefault},
		"log.retention.ms":           {"-1", SourceDefault},
		"log.retention.bytes":        {"-1", SourceDefault},
		"log.cleanup.policy":         {"delete", SourceDefault},
		"log.flush.interval.ms":      {"0", SourceDefault},

		"log.message.timestamp.after.max.ms": {"3600000", SourceDefault},
	} {
		if e := got[key]; e.Value != want.value || e.Source != want.source {
			t.Errorf("%s: %+v", key, e)
		}
	}
	for _, key := range []string{"listeners", "log.dirs", "socket.request.max.bytes", ""} {
		if e, ok := got[key]; ok {
			t.Errorf("%s was not given and is shown: %+v", key, e)
		}
	}
}

// Goal: topic names are Kafka's. Method: names at and beyond each border.
func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "A-b_c.9", "__x", "...", strings.Repeat("n", 249)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "a b", "a/b", "ä", "a\x00", strings.Repeat("n", 250), strings.Repeat("ü", 9999),
	} {
		if err := CheckName(name); fault.CodeOf(err) != fault.InvalidTopic || len(err.Error()) > 400 {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a.b", "a_b", true}, {"a.b", "a.b", false}, {"a.b.c", "a_b.c", true},
		{"ab", "a_b", false}, {"a.b", "a-b", false},
	} {
		if Collide(c.a, c.b) != c.want || Collide(c.b, c.a) != c.want {
			t.Errorf("collide %s %s", c.a, c.b)
		}
	}
	if !Reserved(OffsetsTopic) || Reserved("__mine") {
		t.Error("reserved names")
	}
}

// Goal: the edit distance is one. Method: known pairs.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}, {"ab", "ba", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q → %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// FuzzSettings. Goal: what the table takes is kept in one spelling, is described as it is kept, and is taken
// again; what it refuses has a short message. Method: any key and value.
func FuzzSettings(f *testing.F) {
	for _, k := range keys {
		for _, value := range []string{k.preset, "", "-1", "0.5", "compact, delete", "9223372036854775807", "0x1p-2", "NaN"} {
			f.Add(k.name, value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		topic, err := Parse(map[string]*string{key: &value})
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidConfig || len(err.Error()) > 2000 {
				t.Fatalf("%q=%q: %d bytes: %v", key, value, len(err.Error()), err)
			}
			return
		}
		kept := topic.Overrides[key]
		again, err := Parse(map[string]*string{key: &kept})
		if err != nil || !reflect.DeepEqual(again, topic) || !reflect.DeepEqual(Stored(topic.Overrides), topic) {
			t.Fatalf("%q=%q is kept as %q: %+v, then %+v, %v", key, value, kept, topic, again, err)
		}
		for _, e := range Describe(topic) {
			if e.Key == key && e.Value != kept {
				t.Fatalf("%q=%q is kept as %q and described as %q", key, value, kept, e.Value)
			}
		}
	})
}

// Goal: the hints on files that Kafka Streams and others set are taken, kept and shown as what they are, and
// change nothing. Method: set all of them, compare the topic with one on which nothing was set.
func TestHintsAreWithoutEffect(t *testing.T) {
	hints := map[string]*string{
		"segment.bytes": ptr("52428800"), "segment.ms": ptr("600000"), "segment.jitter.ms": ptr("1"),
		"segment.index.bytes": ptr("1024"), "index.interval.bytes": ptr("1"), "file.delete.delay.ms": ptr("0"),
		"preallocate": ptr("true"),
	}
	topic, err := Parse(hints)
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, e := range Describe(topic) {
		if v, set := hints[e.Key]; set {
			shown++
			if e.Value != *v || e.Source != SourceTopic || e.ReadOnly || !strings.Contains(e.Doc, "without effect") {
				t.Errorf("%+v", e)
			}
		}
	}
	topic.Overrides = nil
	if shown != len(hints) || !reflect.DeepEqual(topic, Default()) {
		t.Errorf("%d of %d are shown, and the topic is %+v", shown, len(hints), topic)
	}
}
