package group

import (
	"unicode/utf16"

	"github.com/millstream-io/millstream/proto/record"
)

// PartitionOf returns the partition that holds a group's rows, of n > 0: the absolute value of Java's
// String.hashCode, as every Kafka client and tool computes it.
func PartitionOf(group string, n int32) record.Partition {
	must(n > 0, "group %q over %d partitions", group, n)
	var h int32
	for _, unit := range utf16.Encode([]rune(group)) {
		h = 31*h + int32(unit)
	}
	if h < 0 {
		h = -h
	}
	if h < 0 { // the one number whose absolute value does not fit
		h = 0
	}
	return record.Partition(h % n)
}
