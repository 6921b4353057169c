package state

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// FrameRoom is the number of bytes in front of every payload that the entry header takes. Whoever reads a
// payload from a socket leaves this much room, so that the payload is never copied to make place for it.
const FrameRoom = 64

// EntryType says what the payload of an entry is.
type EntryType uint8

// The entry types: Records holds one or more whole batches; Control a command of a machine, or nothing (the
// first entry of a term); Conf a membership change; Trim a new log start; Compacted stands in the place of
// entries of one term of which log compaction left nothing; Clean says how far the log has been compacted and
// through where tombstones may go; Fence shuts out the older epochs of a producer. Only Records takes offsets;
// Compacted keeps those of what it stands for.
const (
	EntryRecords EntryType = 1 + iota
	EntryControl
	EntryConf
	EntryTrim
	EntryCompacted
	EntryClean
	EntryFence
)

// FrameVersion is the version of the entry header. A store refuses entries of a version it does not know.
const FrameVersion = 1

// Entry is one entry of a replica's log. Frame is the whole stored value: FrameRoom bytes of header, then the
// payload. Entries without records have Base = the next offset and Last = Base-1.
//
// MaxTimestampMs is the largest record timestamp of the log up to and including this entry; it never goes
// down along a log, so it can be searched. AppendTimeMs is the leader's clock, never lower than in the entry
// before.
type Entry struct {
	Index, Term    uint64
	Type           EntryType
	Base, Last     record.Offset
	AppendTimeMs   int64
	MaxTimestampMs int64
	Frame          []byte
}

// Byte positions in the entry header. All numbers are big-endian.
const (
	frameAtVersion      = 0
	frameAtType         = 1
	frameAtLength       = 4
	frameAtCRC          = 8
	frameAtIndex        = 16
	frameAtTerm         = 24
	frameAtBase         = 32
	frameAtLast         = 40
	frameAtAppendTime   = 48
	frameAtMaxTimestamp = 56
)

// compactedSize is the payload of a Compacted entry: the index of the last entry that it stands for.
const compactedSize = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Payload is the part of the frame behind the header. It aliases Frame.
func (e Entry) Payload() []byte { return e.Frame[FrameRoom:] }

// Through is the index of the last entry that e stands for: its own, but for Compacted, which stands for a run.
func (e Entry) Through() uint64 {
	if e.Type != EntryCompacted {
		return e.Index
	}
	return binary.BigEndian.Uint64(e.Payload())
}

// Compacted returns the sealed entry that stands for all of first to last, of which nothing is left. Both are
// of one term; either may stand for a run itself. Its frame is new.
func Compacted(first, last Entry) Entry {
	e := Entry{
		Index: first.Index, Term: first.Term, Type: EntryCompacted, Base: first.Base, Last: last.Last,
		AppendTimeMs: last.AppendTimeMs, MaxTimestampMs: last.MaxTimestampMs,
		Frame: binary.BigEndian.AppendUint64(make([]byte, FrameRoom, FrameRoom+compactedSize), last.Through()),
	}
	e.Seal()
	return e
}

// Next is the offset behind the entry.
func (e Entry) Next() record.Offset { return e.Last + 1 }

// Seal writes the entry's header into e.Frame[:FrameRoom], with the checksum over header and payload.
// The frame must not change afterwards.
func (e Entry) Seal() {
	f := e.Frame
	clear(f[:FrameRoom])
	f[frameAtVersion] = FrameVersion
	f[frameAtType] = byte(e.Type)
	binary.BigEndian.PutUint32(f[frameAtLength:], uint32(len(f)-FrameRoom))
	binary.BigEndian.PutUint64(f[frameAtIndex:], e.Index)
	binary.BigEndian.PutUint64(f[frameAtTerm:], e.Term)
	binary.BigEndian.PutUint64(f[frameAtBase:], uint64(e.Base))
	binary.BigEndian.PutUint64(f[frameAtLast:], uint64(e.Last))
	binary.BigEndian.PutUint64(f[frameAtAppendTime:], uint64(e.AppendTimeMs))
	binary.BigEndian.PutUint64(f[frameAtMaxTimestamp:], uint64(e.MaxTimestampMs))
	binary.BigEndian.PutUint32(f[frameAtCRC:], frameCRC(f))
}

// OpenFrame reads the header of a stored frame and verifies version, length and checksum. The entry aliases
// f. Error: fault.CorruptRecord; an empty frame is damage too.
func OpenFrame(f []byte) (Entry, error) {
	if len(f) < FrameRoom {
		return Entry{}, fault.New(fault.CorruptRecord, "entry frame of %d bytes is shorter than its header", len(f))
	}
	if f[frameAtVersion] != FrameVersion {
		return Entry{}, fault.New(fault.CorruptRecord, "entry frame version %d, this build reads %d",
			f[frameAtVersion], FrameVersion)
	}
	if n := binary.BigEndian.Uint32(f[frameAtLength:]); int64(n) != int64(len(f)-FrameRoom) {
		return Entry{}, fault.New(fault.CorruptRecord, "entry frame says %d payload bytes, %d are there",
			n, len(f)-FrameRoom)
	}
	if want, got := binary.BigEndian.Uint32(f[frameAtCRC:]), frameCRC(f); want != got {
		return Entry{}, fault.New(fault.CorruptRecord, "entry frame checksum is %08x, header says %08x", got, want)
	}
	e := Entry{
		Index:          binary.BigEndian.Uint64(f[frameAtIndex:]),
		Term:           binary.BigEndian.Uint64(f[frameAtTerm:]),
		Type:           EntryType(f[frameAtType]),
		Base:           record.Offset(binary.BigEndian.Uint64(f[frameAtBase:])),
		Last:           record.Offset(binary.BigEndian.Uint64(f[frameAtLast:])),
		AppendTimeMs:   int64(binary.BigEndian.Uint64(f[frameAtAppendTime:])),
		MaxTimestampMs: int64(binary.BigEndian.Uint64(f[frameAtMaxTimestamp:])),
		Frame:          f,
	}
	if err := e.checkType(); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// checkType refuses what no build has written, so that nobody takes a payload for what it is not.
func (e Entry) checkType() error {
	if e.Type < EntryRecords || e.Type > EntryFence {
		return fault.New(fault.CorruptRecord, "entry %d has type %d, which this build does not know", e.Index, e.Type)
	}
	if e.Type == EntryCompacted && (len(e.Payload()) != compactedSize || e.Through() < e.Index) {
		return fault.New(fault.CorruptRecord, "entry %d stands for a run of compacted ones that has no end", e.Index)
	}
	return nil
}

// frameCRC covers the whole frame but the checksum field itself.
func frameCRC(f []byte) uint32 {
	c := crc32.Update(0, castagnoli, f[:frameAtCRC])
	return crc32.Update(c, castagnoli, f[frameAtCRC+4:])
}
