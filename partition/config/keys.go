package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// The names of the topic keys, spelled as in Kafka.
const (
	KeyMaxMessageBytes   = "max.message.bytes"
	KeyCompressionType   = "compression.type"
	KeyTimestampType     = "message.timestamp.type"
	KeyTimestampBefore   = "message.timestamp.before.max.ms"
	KeyTimestampAfter    = "message.timestamp.after.max.ms"
	KeyCleanupPolicy     = "cleanup.policy"
	KeyRetentionMs       = "retention.ms"
	KeyRetentionBytes    = "retention.bytes"
	KeyMinCompactionLag  = "min.compaction.lag.ms"
	KeyMaxCompactionLag  = "max.compaction.lag.ms"
	KeyDeleteRetentionMs = "delete.retention.ms"
	KeyMinDirtyRatio     = "min.cleanable.dirty.ratio"
	KeyMinInsync         = "min.insync.replicas"
	KeyUncleanElection   = "unclean.leader.election.enable"
	KeyFlushPolicy       = "flush.policy"
	KeyFlushMessages     = "flush.messages"
	KeyFlushMs           = "flush.ms"
	KeySegmentBytes      = "segment.bytes"
	KeySegmentMs         = "segment.ms"
	KeySegmentJitterMs   = "segment.jitter.ms"
	KeySegmentIndexBytes = "segment.index.bytes"
	KeyIndexInterval     = "index.interval.bytes"
	KeyFileDeleteDelay   = "file.delete.delay.ms"
	KeyPreallocate       = "preallocate"
)

// The values of message.timestamp.type, of cleanup.policy and of flush.policy.
const (
	timestampCreateTime = "CreateTime"
	timestampAppendTime = "LogAppendTime"
	policyDelete        = "delete"
	policyCompact       = "compact"
	flushDurable        = "durable"
	flushInterval       = "interval"
)

// Bounds and default of max.message.bytes, in bytes of one batch as it is stored. The default is Kafka's: 1
// MiB and the 12 bytes that stand in front of what a batch's length field counts.
//
// The upper bound is what a member can afford: one write of a replica is up to 4 MiB of entries and one more, is
// held in memory until it is durable, and goes to the disk in one piece beside a copy of itself. A write that the
// store does not take would stop the replica, so this bound also holds for all batches of one append together.
const (
	DefaultMaxMessageBytes = 1<<20 + 12
	MinMaxMessageBytes     = 1 << 10
	MaxMaxMessageBytes     = 10 << 20
)

// KeepAll is the value of retention.ms and retention.bytes that keeps everything; both begin with it.
const KeepAll = -1

// Unbounded is the number of milliseconds that stands for no bound, as in Kafka.
const Unbounded = math.MaxInt64

// Defaults of the keys of timestamps and of compaction, as in Kafka, in milliseconds.
const (
	DefaultTimestampAfterMs  = 3_600_000
	DefaultDeleteRetentionMs = 86_400_000
	DefaultDirtyRatio        = 0.5
)

// DefaultFlushMs is how long records of flush.policy=interval may be acknowledged and not durable where flush.ms
// does not say; MaxFlushMs is the most that it may say. Both in milliseconds.
const (
	DefaultFlushMs = 1000
	MaxFlushMs     = 60_000
)

// shortRetention is the age up to which a topic's records share buckets that are given back soon.
const shortRetention = 6 * time.Hour

// none is how Unbounded is spelled.
var none = strconv.FormatInt(Unbounded, 10)

// keys is THE table, in the order in which it is shown.
var keys = []*key{
	{
		name: KeyMaxMessageBytes, kind: TypeInt, preset: strconv.Itoa(DefaultMaxMessageBytes),
		min: MinMaxMessageBytes, max: MaxMaxMessageBytes,
		doc: "Largest batch in bytes, as stored (after compression), that the topic takes.",
		set: func(t *Topic, value string) {
			if n, ok := atoi(value); ok {
				t.MaxMessageBytes = n
			}
		},
	},
	{
		name: KeyCompressionType, kind: TypeString, preset: "producer", only: []string{"producer"},
		doc: "Batches are kept in the compression that their producer chose.",
	},
	{
		name: KeyTimestampType, kind: TypeString, preset: timestampCreateTime,
		oneOf: []string{timestampCreateTime, timestampAppendTime},
		doc:   "Whether a record carries its producer's time (CreateTime) or its append's (LogAppendTime).",
		set:   func(t *Topic, value string) { t.LogAppendTime = value == timestampAppendTime },
	},
	{
		name: KeyTimestampBefore, kind: TypeLong, preset: none, max: Unbounded,
		doc: "How many milliseconds the timestamp of a record may lie before its append; not for LogAppendTime.",
		set: func(t *Topic, value string) { t.TimestampBeforeMs = atLeast0(value, Unbounded) },
	},
	{
		name: KeyTimestampAfter, kind: TypeLong, preset: strconv.Itoa(DefaultTimestampAfterMs), max: Unbounded,
		doc: "How many milliseconds the timestamp of a record may lie behind its append; not for LogAppendTime.",
		set: func(t *Topic, value string) { t.TimestampAfterMs = atLeast0(value, DefaultTimestampAfterMs) },
	},
	{
		name: KeyCleanupPolicy, kind: TypeList, preset: policyDelete, parts: []string{policyCompact, policyDelete},
		doc: "What becomes of old records: delete (by age and size), compact (the newest of each key stays), or both.",
		set: func(t *Topic, value string) {
			have := split(value)
			t.Compact, t.keep = slices.Contains(have, policyCompact), !slices.Contains(have, policyDelete)
		},
	},
	{
		name: KeyRetentionMs, kind: TypeLong, preset: strconv.Itoa(KeepAll), min: KeepAll, max: math.MaxInt64,
		doc: "How long records are kept at least after their append, in milliseconds; -1 is for ever, the default. " +
			"Only with delete in cleanup.policy.",
		set: func(t *Topic, value string) { t.RetentionMs = keptFor(value) },
	},
	{
		name: KeyRetentionBytes, kind: TypeLong, preset: strconv.Itoa(KeepAll), min: KeepAll, max: math.MaxInt64,
		doc: "How many bytes of its newest records a partition keeps at least; -1 is all, the default. " +
			"Only with delete in cleanup.policy.",
		set: func(t *Topic, value string) { t.RetentionBytes = kept(value) },
	},
	{
		name: KeyMinCompactionLag, kind: TypeLong, preset: "0", max: math.MaxInt64,
		doc: "How many milliseconds after its append a record is safe from compaction.",
		set: func(t *Topic, value string) { t.MinLagMs = atLeast0(value, 0) },
	},
	{
		name: KeyMaxCompactionLag, kind: TypeLong, preset: none, only: []string{none},
		doc: "Compaction begins by " + KeyMinDirtyRatio + " alone, however old the records are.",
	},
	{
		name: KeyDeleteRetentionMs, kind: TypeLong, preset: strconv.Itoa(DefaultDeleteRetentionMs), max: math.MaxInt64,
		doc: "How many milliseconds a null value, the mark of a deleted key, is kept after a compaction has reached it.",
		set: func(t *Topic, value string) { t.DeleteRetentionMs = atLeast0(value, DefaultDeleteRetentionMs) },
	},
	{
		name: KeyMinDirtyRatio, kind: TypeDouble, preset: ratio(DefaultDirtyRatio),
		doc: "Part of a partition's bytes that was written since its last compaction, at which the next one begins.",
		set: func(t *Topic, value string) {
			if f, ok := asRatio(value); ok {
				t.DirtyRatio = f
			}
		},
	},
	{
		name: KeyMinInsync, kind: TypeInt, preset: "1", only: []string{"1"},
		doc: "Replicas that must have a batch before acks=all is answered: a majority of them always, at least one.",
	},
	{
		name: KeyUncleanElection, kind: TypeBool, preset: "false", only: []string{"false"},
		doc: "Only a replica that has everything that was acknowledged can lead.",
	},
	{
		name: KeyFlushPolicy, kind: TypeString, preset: flushDurable, oneOf: []string{flushDurable, flushInterval},
		doc: "When a batch is acknowledged: when it is on the disk (durable), or when it is written and on the disk within " +
			KeyFlushMs + " (interval), so that a power cut may lose what was acknowledged last.",
		set: func(t *Topic, value string) { t.relaxed = value == flushInterval },
	},
	{
		name: KeyFlushMessages, kind: TypeLong, preset: "1", only: []string{"1", none}, why: alwaysDurable,
		doc: "When a batch is on the disk is a matter of " + KeyFlushPolicy + ", whatever is set here.",
	},
	{
		name: KeyFlushMs, kind: TypeLong, preset: "0", max: Unbounded,
		doc: "With " + KeyFlushPolicy + "=interval, how many milliseconds after its acknowledgement a batch is on the disk at " +
			"the latest: 1 to 60000, 1000 by default. Without effect on a durable topic, where that is before it.",
		set: func(t *Topic, value string) {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 1 && n <= MaxFlushMs {
				t.flushMs = n
			}
		},
	},
	hint(KeySegmentBytes, TypeInt, "1073741824", 14, math.MaxInt32),
	hint(KeySegmentMs, TypeLong, "604800000", 1, math.MaxInt64),
	hint(KeySegmentJitterMs, TypeLong, "0", 0, math.MaxInt64),
	hint(KeySegmentIndexBytes, TypeInt, "10485760", 4, math.MaxInt32),
	hint(KeyIndexInterval, TypeInt, "4096", 0, math.MaxInt32),
	hint(KeyFileDeleteDelay, TypeLong, "60000", 0, math.MaxInt64),
	{name: KeyPreallocate, kind: TypeBool, preset: "false", oneOf: []string{"false", "true"}, doc: withoutEffect},
}

// hint is a number that says how Kafka is to lay a topic out in files. Kafka Streams sets one on each topic that
// it makes, and does not start where it is refused. What a client can see does not depend on it: any value that
// Kafka takes is kept and shown, and nothing else is done with it.
func hint(name string, kind ValueType, preset string, least, most int64) *key {
	return &key{name: name, kind: kind, preset: preset, min: least, max: most, doc: withoutEffect}
}

const withoutEffect = "Taken for the sake of Kafka's tools and without effect: topics share the files of a member, " +
	"which are rolled and given back for all of them together."

// otherwise says, for keys that Kafka has and this engine has not, how what they are for is done here.
var otherwise = map[string]string{
	"message.timestamp.difference.max.ms": "its two directions are " + KeyTimestampBefore + " and " +
		KeyTimestampAfter,
}

const alwaysDurable = "a batch is durable before it is acknowledged, or within " + KeyFlushMs + " where " + KeyFlushPolicy +
	" says so"

// Keys returns the names of all topic keys, in the order of the table.
func Keys() []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

func keyNamed(name string) (*key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return nil, false
}

// unknownKey names the nearest key of the table.
func unknownKey(name string) error {
	if why, ok := otherwise[name]; ok {
		return fault.New(fault.InvalidConfig, "topic key %s is not in this engine: %s", name, why).
			WithHint("leave %s out; the keys are %s", name, strings.Join(obeyed(), ", "))
	}
	return fault.New(fault.InvalidConfig, "topic key %q is not in this version", clip(name)).
		WithHint("nearest is %s; the keys are %s", nearest(name, Keys()), strings.Join(obeyed(), ", "))
}

// obeyed lists the keys that have an effect.
func obeyed() []string {
	return slices.DeleteFunc(Keys(), func(name string) bool {
		k, _ := keyNamed(name)
		return k.doc == withoutEffect
	})
}

// clip keeps a client's text from filling a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
