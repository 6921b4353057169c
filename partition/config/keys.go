package config

import (
	"strconv"
	"strings"

	"github.com/millstream-io/millstream/proto/fault"
)

// The names of the topic keys, spelled as in Kafka.
const (
	KeyMaxMessageBytes  = "max.message.bytes"
	KeyCompressionType  = "compression.type"
	KeyTimestampType    = "message.timestamp.type"
	KeyCleanupPolicy    = "cleanup.policy"
	KeyRetentionMs      = "retention.ms"
	timestampCreateTime = "CreateTime"
	timestampAppendTime = "LogAppendTime"
)

// Bounds and default of max.message.bytes, in bytes of one batch as it is stored. The default is Kafka's: 1
// MiB and the 12 bytes that stand in front of what a batch's length field counts. The upper bound keeps one
// batch well below a value log file of the store.
const (
	DefaultMaxMessageBytes = 1<<20 + 12
	MinMaxMessageBytes     = 1 << 10
	MaxMaxMessageBytes     = 64 << 20
)

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
		name: KeyRetentionMs, kind: TypeLong, preset: "-1", only: "-1",
		doc: "How long records are kept, in milliseconds; -1 is for ever, the only value in this version.",
	},
}

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
