package compaction

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
)

const (
	cleanVersion = 1
	cleanSize    = 1 + 2*8
	marksVersion = 1
	marksSize    = 1 + 2*16 + 8
)

// Clean is the payload of a state.EntryClean: the leader's log was compacted through index Cleaned, and
// tombstones may go through index Tombstones. 0 says nothing about that one.
type Clean struct {
	Cleaned, Tombstones uint64
}

// Append appends the encoded payload to dst: version, cleaned, tombstones, big-endian.
func (c Clean) Append(dst []byte) []byte {
	dst = append(dst, cleanVersion)
	dst = binary.BigEndian.AppendUint64(dst, c.Cleaned)
	return binary.BigEndian.AppendUint64(dst, c.Tombstones)
}

// DecodeClean is the opposite of Append. Error: fault.CorruptRecord.
func DecodeClean(b []byte) (Clean, error) {
	if len(b) != cleanSize || b[0] != cleanVersion {
		return Clean{}, fault.New(fault.CorruptRecord, "no mark of compaction of version %d in %d bytes",
			cleanVersion, len(b))
	}
	return Clean{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}, nil
}

// Mark says that a leader's log was clean through Cleaned, and when that was appended, in milliseconds
// since 1970.
type Mark struct {
	Cleaned      uint64
	AppendTimeMs int64
}

// Marks is what the log says about its compaction: the oldest mark whose tombstones may not go yet and the
// newest one (of those between nothing is remembered: their tombstones go with the newest), and the index
// through which tombstones may go. A mark without Cleaned is none. The zero value is a log that was never
// compacted; all replicas that applied the same entries have the same Marks.
type Marks struct {
	Oldest, Newest Mark
	Tombstones     uint64
}

// Apply notes the payload of a committed EntryClean. Error: fault.CorruptRecord, and then nothing changed.
func (m *Marks) Apply(payload []byte, appendTimeMs int64) error {
	c, err := DecodeClean(payload)
	if err != nil {
		return err
	}
	if c.Cleaned > m.Newest.Cleaned {
		m.Newest = Mark{c.Cleaned, appendTimeMs}
	}
	m.Tombstones = max(m.Tombstones, c.Tombstones)
	if m.Oldest.Cleaned <= m.Tombstones { // it is ripe, or there was none
		m.Oldest = Mark{}
		if m.Newest.Cleaned > m.Tombstones {
			m.Oldest = m.Newest
		}
	}
	return nil
}

// Ripe returns the index through which tombstones may go from nowMs on, and whether that is more than is
// said already: it was marked clean at least deleteRetentionMs ago, and every replica holds the log through
// it, which reaches minMatch.
func (m Marks) Ripe(nowMs, deleteRetentionMs int64, minMatch uint64) (tombstones uint64, ok bool) {
	for _, k := range [...]Mark{m.Newest, m.Oldest} {
		if k.Cleaned > m.Tombstones && k.Cleaned <= minMatch && nowMs-k.AppendTimeMs >= deleteRetentionMs {
			return k.Cleaned, true
		}
	}
	return 0, false
}

// Append appends the encoded marks to dst, for a row that a replica carries: version, oldest, newest,
// tombstones, big-endian.
func (m Marks) Append(dst []byte) []byte {
	dst = append(dst, marksVersion)
	for _, k := range [...]Mark{m.Oldest, m.Newest} {
		dst = binary.BigEndian.AppendUint64(dst, k.Cleaned)
		dst = binary.BigEndian.AppendUint64(dst, uint64(k.AppendTimeMs))
	}
	return binary.BigEndian.AppendUint64(dst, m.Tombstones)
}

// DecodeMarks is the opposite of Append. Error: fault.CorruptRecord.
func DecodeMarks(b []byte) (Marks, error) {
	if len(b) != marksSize || b[0] != marksVersion {
		return Marks{}, fault.New(fault.CorruptRecord, "no marks of compaction of version %d in %d bytes",
			marksVersion, len(b))
	}
	var m Marks
	for i, k := range [...]*Mark{&m.Oldest, &m.Newest} {
		*k = Mark{binary.BigEndian.Uint64(b[1+16*i:]), int64(binary.BigEndian.Uint64(b[9+16*i:]))}
	}
	m.Tombstones = binary.BigEndian.Uint64(b[33:])
	return m, nil
}
