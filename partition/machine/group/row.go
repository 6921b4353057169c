package group

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Versions of Kafka's OffsetCommitKey and OffsetCommitValue.
const (
	keyOffset       = 1 // 0 is the same shape
	valuePlain      = 3
	valueFlexible   = 4
	generationTag   = 0x6d73
	generationBytes = 4
)

// key is a decoded key: of a position or, where ofGroup is set, of a group's metadata. known is false for
// kinds of rows that this version does not have.
type key struct {
	known   bool
	ofGroup bool
	group   string
	TopicPartition
}

type value struct {
	offset      record.Offset
	leaderEpoch record.Epoch
	metadata    string
	timeMs      int64
	generation  int32 // NoGeneration where none was given
}

func appendKey(b []byte, group string, p TopicPartition) []byte {
	b = binary.BigEndian.AppendUint16(b, keyOffset)
	b = appendString(b, group)
	b = appendString(b, p.Topic)
	return binary.BigEndian.AppendUint32(b, uint32(p.Partition))
}

func appendValue(b []byte, v value) []byte {
	version := uint16(valuePlain)
	if v.generation >= 0 {
		version = valueFlexible
	}
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(v.offset))
	b = binary.BigEndian.AppendUint32(b, uint32(v.leaderEpoch))
	if version == valuePlain {
		b = appendString(b, v.metadata)
		return binary.BigEndian.AppendUint64(b, uint64(v.timeMs))
	}
	b = binary.AppendUvarint(b, uint64(len(v.metadata))+1)
	b = append(b, v.metadata...)
	b = binary.BigEndian.AppendUint64(b, uint64(v.timeMs))
	b = binary.AppendUvarint(b, 1) // tagged fields
	b = binary.AppendUvarint(b, generationTag)
	b = binary.AppendUvarint(b, generationBytes)
	return binary.BigEndian.AppendUint32(b, uint32(v.generation))
}

// decodeKey reads a key; its strings are copies. Error: fault.CorruptRecord.
func decodeKey(b []byte) (key, error) {
	d := cursor{rest: b}
	version := d.uint16()
	if d.bad {
		return key{}, d.fault("key")
	}
	if version > keyMetadata {
		return key{}, nil
	}
	k := key{known: true, ofGroup: version == keyMetadata, group: d.string16()}
	if !k.ofGroup {
		k.Topic = d.string16()
		k.Partition = record.Partition(d.uint32())
	}
	if d.bad || len(d.rest) != 0 || k.group == "" || (k.Topic == "" && !k.ofGroup) || k.Partition < 0 {
		return key{}, d.fault("key")
	}
	return k, nil
}

// decodeValue reads a value; its strings are copies. Errors: fault.CorruptRecord, fault.UnsupportedVersion.
func decodeValue(b []byte) (value, error) {
	d := cursor{rest: b}
	version := d.uint16()
	if !d.bad && version != valuePlain && version != valueFlexible {
		return value{}, fault.New(fault.UnsupportedVersion,
			"committed offset has value version %d, this build reads %d and %d",
			version, valuePlain, valueFlexible).WithHint("start a build that is not older than the data directory")
	}
	v := value{
		offset: record.Offset(d.uint64()), leaderEpoch: record.Epoch(d.uint32()), generation: NoGeneration,
	}
	if version == valuePlain {
		v.metadata, v.timeMs = d.string16(), int64(d.uint64())
	} else {
		v.metadata, v.timeMs = d.compactString(), int64(d.uint64())
		d.tags(&v)
	}
	if d.bad || len(d.rest) != 0 {
		return value{}, d.fault("value")
	}
	return v, nil
}

// tags reads the tagged fields and steps over those that are not ours. Kafka wants ascending tags.
func (d *cursor) tags(v *value) {
	last := -1
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		tag := d.uvarint()
		body := d.take(d.uvarint())
		if d.bad || tag > 1<<31 || int(tag) <= last {
			d.bad = true
			return
		}
		last = int(tag)
		if tag != generationTag {
			continue
		}
		inner := cursor{rest: body}
		v.generation = int32(inner.uint32())
		d.bad = inner.bad || len(inner.rest) != 0 || v.generation < 0
	}
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
