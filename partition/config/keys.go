package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// The names of the topic keys, spelled as in Kafka.
const (
	KeyMaxMessageBytes  = "max.message.bytes"
	KeyCompressionType  = "compression.type"
	KeyTimestampType    = "message.timestamp.type"
	KeyCleanupPolicy    = "cleanup.policy"
	KeyRetentionMs      = "retention.ms"
	KeyRetentionBytes   = "retention.bytes"
	timestampCreateTime = "CreateTime"
	timestampAppendTime = "LogAppendTime"
)

// Bounds and default of max.message.bytes, in bytes of one batch as it is stored. The default is Kafka's: 1
// MiB and the 12 bytes that stand in front of what a batch's length field counts.
//
// The upper bound is what every store takes: one write of a replica is up to 4 MiB of entries and one more,
// and has to fit into one value-log file, which on a small volume has 16 MiB. A write that does not fit
// would stop the replica, so this bound also holds for all batches of one append together.
const (
	DefaultMaxMessageBytes = 1<<20 + 12
	MinMaxMessageBytes     = 1 << 10
	MaxMaxMessageBytes     = 10 << 20
)

// KeepAll is the value of retention.ms and retention.bytes that keeps everything; both begin with it.
const KeepAll = -1

// shortRetention is the age up to which a topic's records share buckets that are given back soon.
const shortRetention = 6 * time.Hour

// key is one row of the table. A key takes either exactly `only` (and is then read-only), or one of
// `oneOf`, or a number in [min, max].
type key struct {
	name     string
	kind     ValueType
	preset   string // the default
	only     string
	oneOf    []string
	min, max int64
	doc      string
	set      func(t *Topic, value string)
}

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
		name: KeyCompressionType, kind: TypeString, preset: "producer", only: "producer",
		doc: "Batches are kept in the compression that their producer chose.",
	},
	{
		name: KeyTimestampType, kind: TypeString, preset: timestampCreateTime,
		oneOf: []string{timestampCreateTime, timestampAppendTime},
		doc:   "Whether a record carries its producer's time (CreateTime) or its append's (LogAppendTime).",
		set:   func(t *Topic, value string) { t.LogAppendTime = value == timestampAppendTime },
	},
	{
		name: KeyCleanupPolicy, kind: TypeList, preset: "delete", only: "delete",
		doc: "Old records go by age and size; compaction by key is not in this version.",
	},
	{
		name: KeyRetentionMs, kind: TypeLong, preset: strconv.Itoa(KeepAll), min: KeepAll, max: math.MaxInt64,
		doc: "How long records are kept at least after their append, in milliseconds; -1 is for ever, the default.",
		set: func(t *Topic, value string) { t.RetentionMs = keptFor(value) },
	},
	{
		name: KeyRetentionBytes, kind: TypeLong, preset: strconv.Itoa(KeepAll), min: KeepAll, max: math.MaxInt64,
		doc: "How many bytes of its newest records a partition keeps at least; -1 is all, the default.",
		set: func(t *Topic, value string) { t.RetentionBytes = kept(value) },
	},
}

// otherwise says, for keys that Kafka has and this engine has not, how what they are for is done here.
var otherwise = map[string]string{
	"segment.bytes":        sharedBuckets,
	"segment.ms":           sharedBuckets,
	"segment.jitter.ms":    sharedBuckets,
	"segment.index.bytes":  sharedBuckets,
	"file.delete.delay.ms": sharedBuckets,
	"preallocate":          sharedBuckets,
	"flush.messages":       alwaysDurable,
	"flush.ms":             alwaysDurable,
}

const (
	sharedBuckets = "topics share the files of a member, which are rolled and given back for all of them together"
	alwaysDurable = "a batch is durable before it is acknowledged, whatever the topic"
)

// Keys returns the names of all topic keys, in the order of the table.
func Keys() []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// check refuses a value that the key does not take.
func (k *key) check(value string) error {
	switch {
	case k.only != "":
		if value == k.only {
			return nil
		}
		return fault.New(fault.InvalidConfig, "topic key %s=%q is not in this version, which takes only %q",
			k.name, clip(value), k.only).WithHint("leave %s out, or set it to %s", k.name, k.only)
	case k.oneOf != nil:
		for _, v := range k.oneOf {
			if v == value {
				return nil
			}
		}
		return fault.New(fault.InvalidConfig, "topic key %s=%q is none of %s",
			k.name, clip(value), strings.Join(k.oneOf, ", ")).WithHint("set it to %s", strings.Join(k.oneOf, " or "))
	default:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < k.min || n > k.max || value != strconv.FormatInt(n, 10) {
			return fault.New(fault.InvalidConfig,
				"topic key %s=%q is not a whole number from %d to %d, this version's bounds",
				k.name, clip(value), k.min, k.max).WithHint("the default is %s", k.preset)
		}
		return nil
	}
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
			WithHint("leave %s out; the keys are %s", name, strings.Join(Keys(), ", "))
	}
	return fault.New(fault.InvalidConfig, "topic key %q is not in this version", clip(name)).
		WithHint("nearest is %s; the keys are %s", nearest(name), strings.Join(Keys(), ", "))
}

// clip keeps a client's text from filling a message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
