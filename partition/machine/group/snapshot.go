package group

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
)

// snapshotVersion is the format version of a snapshot: version (1 byte), number of rows, then each row's
// key and value, each with its length in front; all numbers are varints. Keys and values are those of the
// log. Version 1 has no metadata rows.
const (
	snapshotVersion = 2
	snapshotOldest  = 1
)

// Snapshot returns all rows, encoded, ascending by group, topic and partition, then the groups' metadata:
// equal states give equal bytes.
func (m *Machine) Snapshot() []byte {
	n := len(m.metadata)
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
	for _, group := range slices.Sorted(maps.Keys(m.metadata)) {
		scratch = appendMetadataKey(scratch[:0], group)
		b = append(binary.AppendUvarint(b, uint64(len(scratch))), scratch...)
		scratch = appendMetadata(scratch[:0], m.metadata[group])
		b = append(binary.AppendUvarint(b, uint64(len(scratch))), scratch...)
	}
	return b
}

// Restore replaces the state by a snapshot, of which it keeps nothing. On an error the state is as it was.
// Errors: fault.CorruptRecord, fault.UnsupportedVersion for a snapshot of a newer build.
func (m *Machine) Restore(snapshot []byte) error {
	if len(snapshot) == 0 {
		return damaged("it is empty")
	}
	if snapshot[0] < snapshotOldest || snapshot[0] > snapshotVersion {
		return fault.New(fault.UnsupportedVersion,
			"snapshot of committed offsets has version %d, this build reads %d to %d",
			snapshot[0], snapshotOldest, snapshotVersion).WithHint("start a build that is not older than the data directory")
	}
	d := cursor{rest: snapshot[1:]}
	restored := New()
	for n := d.uvarint(); n > 0; n-- {
		if err := restored.restoreRow(&d); err != nil {
			return err
		}
	}
	if d.bad || len(d.rest) != 0 {
		return damaged("it is cut short or goes on behind its end")
	}
	*m = *restored
	return nil
}

// restoreRow takes the next row of a snapshot.
func (m *Machine) restoreRow(d *cursor) error {
	k, err := decodeKey(d.take(d.uvarint()))
	if err != nil {
		return err
	}
	encoded := d.take(d.uvarint())
	if !k.known {
		return damaged("a row is of no kind that is stored")
	}
	if k.ofGroup {
		about, err := decodeMetadata(encoded)
		if err != nil {
			return err
		}
		if _, twice := m.metadata[k.group]; twice {
			return damaged("the metadata of group %q stands in it twice", k.group)
		}
		m.metadata[k.group] = about
		return nil
	}
	v, err := decodeValue(encoded)
	if err != nil {
		return err
	}
	if _, twice := m.groups[k.group][k.TopicPartition]; twice {
		return damaged("a row of group %q stands in it twice", k.group)
	}
	within(m.groups, k.group)[k.TopicPartition] = v
	return nil
}

func damaged(format string, args ...any) error {
	return fault.New(fault.CorruptRecord, "snapshot of committed offsets: "+format, args...).
		WithHint("restore the partition from another replica or a copy")
}
