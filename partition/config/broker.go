package config

import (
	"strconv"
	"time"
)

// Broker is what a member obeys and shows as the configuration of a Kafka broker. The caller fills it from
// what the member really runs with; an empty string leaves its key out.
type Broker struct {
	ID         uint64
	Partitions int32 // of a topic that does not say
	Replicas   int16 // of a topic that does not say
	AutoCreate bool
	Listener   string // "host:port" that the Kafka door listens on
	Advertised string // "host:port" that clients are told
	DataDir    string
	MaxRequest int   // largest request frame in bytes
	Offsets    int32 // partitions of the topic of committed offsets

	RebalanceDelay   time.Duration // of the first member of an empty group
	OffsetsRetention time.Duration // of a group without members
}

// DescribeBroker lists a member's configuration under Kafka's names, in a fixed order; defaults is what a
// member runs with whose configuration says nothing. All keys are read-only: they change with a restart.
// The cluster-wide defaults of topic keys follow.
func DescribeBroker(running, defaults Broker) []Entry {
	var entries []Entry
	add := func(key string, kind ValueType, value, preset, doc string) {
		if value == "" {
			return
		}
		e := Entry{
			Key: key, Value: value, Default: preset, Source: SourceBroker, Type: kind, ReadOnly: true, Doc: doc,
		}
		if value == preset {
			e.Source = SourceDefault
		}
		entries = append(entries, e)
	}
	for _, k := range brokerKeys {
		add(k.name, k.kind, k.value(running), k.value(defaults), k.doc)
	}
	for _, k := range keys {
		if name := clusterKey[k.name]; name != "" {
			add(name, k.kind, k.preset, k.preset, k.doc)
		}
	}
	return entries
}

// brokerKeys are the keys of a member, in the order in which they are shown. An empty value leaves the key
// out.
var brokerKeys = []struct {
	name  string
	kind  ValueType
	value func(b Broker) string
	doc   string
}{
	{"broker.id", TypeInt, func(b Broker) string { return positive(b.ID) }, "Id of this member."},
	{"num.partitions", TypeInt, func(b Broker) string { return positive(b.Partitions) },
		"Partitions of a topic that does not say."},
	{"default.replication.factor", TypeInt, func(b Broker) string { return positive(b.Replicas) },
		"Replicas of a topic that does not say."},
	{"auto.create.topics.enable", TypeBool, func(b Broker) string { return strconv.FormatBool(b.AutoCreate) },
		"Whether a topic is made when it is first used and the client allows it."},
	{"listeners", TypeString, func(b Broker) string { return plaintext(b.Listener) },
		"Address that the Kafka door listens on."},
	{"advertised.listeners", TypeString, func(b Broker) string { return plaintext(b.Advertised) },
		"Address that clients are told."},
	{"log.dirs", TypeList, func(b Broker) string { return b.DataDir }, "Data directory."},
	{"socket.request.max.bytes", TypeInt, func(b Broker) string { return positive(b.MaxRequest) },
		"Largest request frame in bytes."},
	{"offsets.topic.num.partitions", TypeInt, func(b Broker) string { return positive(b.Offsets) },
		"Partitions of the topic of committed offsets."},
	{"offsets.retention.minutes", TypeInt, func(b Broker) string { return positive(int64(b.OffsetsRetention.Minutes())) },
		"How long the offsets of a group without members are kept, in minutes."},
	{"group.initial.rebalance.delay.ms", TypeInt,
		func(b Broker) string { return strconv.FormatInt(b.RebalanceDelay.Milliseconds(), 10) },
		"How long the first member of an empty group waits for others, in milliseconds."},
}

// clusterKey maps a topic key to the name that Kafka gives its cluster-wide default.
var clusterKey = map[string]string{
	KeyMaxMessageBytes:   "message.max.bytes",
	KeyCompressionType:   "compression.type",
	KeyTimestampType:     "log.message.timestamp.type",
	KeyTimestampBefore:   "log.message.timestamp.before.max.ms",
	KeyTimestampAfter:    "log.message.timestamp.after.max.ms",
	KeyCleanupPolicy:     "log.cleanup.policy",
	KeyRetentionMs:       "log.retention.ms",
	KeyRetentionBytes:    "log.retention.bytes",
	KeyMinCompactionLag:  "log.cleaner.min.compaction.lag.ms",
	KeyMaxCompactionLag:  "log.cleaner.max.compaction.lag.ms",
	KeyDeleteRetentionMs: "log.cleaner.delete.retention.ms",
	KeyMinDirtyRatio:     "log.cleaner.min.cleanable.ratio",
	KeyMinInsync:         "min.insync.replicas",
	KeyUncleanElection:   "unclean.leader.election.enable",
	KeyFlushMessages:     "log.flush.interval.messages",
	KeyFlushMs:           "log.flush.interval.ms",
}

func plaintext(address string) string {
	if address == "" {
		return ""
	}
	return "PLAINTEXT://" + address
}

// positive is the decimal of n, or nothing where n was not given.
func positive[N int | int16 | int32 | int64 | uint64](n N) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}
