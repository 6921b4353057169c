package group

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
)

// snapshotVersion is the format version of a snapshot: version (1 byte), number of rows, then each row's
// key and value, each with its length in front; all numbers are varints. Keys and values are those of the
// log.
const snapshotVersion = 1

// Snapshot returns all rows, encoded, ascending by group, topic and partition: equal states give equal bytes.
func (m *Machine) Snapshot() []byte {
	n := 0
	for _, rows := range m.groups {
		n += len(rows)
	}
	b := binary.AppendUvarint([]byte{snapshotVersion}, uint64(n))
	var scratch []byte
	for _, group := range slices.Sorted(maps.Keys(m.groups)) {
		rows := m.groups[group]
		for _, p := range slices.SortedFunc(maps.Keys(rows), compare) {
			scratch = appendKey(scratch[:0], group, p)
			b = append(binary.AppendUvarint(b, uint64(len(scratch))), scratch...)
			scratch = appendValue(scratch[:0], rows[p])
			b = append(binary.AppendUvarint(b, uint64(len(scratch))), scratch...)
		}
	}
	return b
}

// Restore replaces the state by a snapshot, of which it keeps nothing. On an error the state is as it was.
// Errors: fault.CorruptRecord, fault.UnsupportedVersion for a snapshot of a newer build.
func (m *Machine) Restore(snapshot []byte) error {
	if len(snapshot) == 0 {
		return damaged("it is empty")
	}
	if snapshot[0] != snapshotVersion {
		return fault.New(fault.UnsupportedVersion,
			"snapshot of committed offsets has version %d, this build reads %d",
			snapshot[0], snapshotVersion).WithHint("start a build that is not older than the data directory")
	}
	d := cursor{rest: snapshot[1:]}
	restored := New()
	for n := d.uvarint(); n > 0; n-- {
		k, err := decodeKey(d.take(d.uvarint()))
		if err != nil {
			return err
		}
		v, err := decodeValue(d.take(d.uvarint()))
		if err != nil {
			return err
		}
		if _, twice := restored.groups[k.group][k.TopicPartition]; twice || !k.known {
			return damaged("a row of group %q stands in it twice or is no position", k.group)
		}
		within(restored.groups, k.group)[k.TopicPartition] = v
	}
	if d.bad || len(d.rest) != 0 {
		return damaged("it is cut short or goes on behind its end")
	}
	m.groups, m.pending = restored.groups, restored.pending
	return nil
}

func damaged(format string, args ...any) error {
	return fault.New(fault.CorruptRecord, "snapshot of committed offsets: "+format, args...).
		WithHint("restore the partition from another replica or a copy")
}
