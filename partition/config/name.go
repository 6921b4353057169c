package config

import (
	"strings"

	"github.com/millstream-io/millstream/proto/fault"
)

// MaxNameBytes is the longest topic name, as in Kafka: a name and a partition number must fit a file name.
const MaxNameBytes = 249

// CheckName refuses what is no topic name: Kafka's rules, 1 to 249 of the characters a-z A-Z 0-9 . _ - and
// neither "." nor "..". Error: fault.InvalidTopic.
func CheckName(name string) error {
	const hint = "use 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'"
	switch {
	case name == "":
		return fault.New(fault.InvalidTopic, "a topic name is empty").WithHint(hint)
	case name == "." || name == "..":
		return fault.New(fault.InvalidTopic, "a topic cannot be named %q", name).WithHint(hint)
	case len(name) > MaxNameBytes:
		return fault.New(fault.InvalidTopic, "topic name of %d bytes is longer than %d", len(name), MaxNameBytes).
			WithHint(hint)
	}
	for i := range len(name) {
		if c := name[i]; !nameByte(c) {
			return fault.New(fault.InvalidTopic, "topic name %q holds the character %q", clip(name), c).WithHint(hint)
		}
	}
	return nil
}

// Collide reports whether two different names become the same one where metrics turn '.' into '_', as Kafka
// counts it.
func Collide(a, b string) bool {
	return a != b && len(a) == len(b) && strings.ReplaceAll(a, ".", "_") == strings.ReplaceAll(b, ".", "_")
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '.' || c == '_' || c == '-'
}

// OffsetsTopic is the internal topic that holds the committed offsets of groups; the cluster makes it, with
// OffsetsPartitions partitions, when the first group commits. The number never changes: the partition of a
// group depends on it.
const (
	OffsetsTopic      = "__consumer_offsets"
	OffsetsPartitions = 16
)

// Reserved reports whether a name is kept for topics that only the cluster itself makes, deletes and
// writes. A client that asks for one is refused with fault.InvalidTopic.
func Reserved(name string) bool {
	return name == OffsetsTopic || name == "__transaction_state" || name == "__cluster_metadata"
}
