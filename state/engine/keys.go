package engine

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/record"
)

// kind is the second part of every key; it says what the row below it is.
type kind uint8

// The kinds of rows. The third part of the key, index, means something else in each.
const (
	kindTail     kind = 1 + iota // index 0: what the log of the replica is
	kindRow                      // index = the carried row's kind
	kindByOffset                 // index = base offset of the entry it points to
	kindByTime                   // index = running maximum of the timestamps, sortable
	kindEntry                    // index = raft index; the value is the entry's frame as it came
	kindGroup                    // only below classRows: the class-wide group sequence
	kindMark                     // only below classRows: index = the sequence of a group that is there
	kindSpan                     // index 0: the span of a rewritten bucket, which has no tail rows
)

// classRows is the replica id under which a class keeps rows of its own. No replica may have it.
const classRows = ^record.ReplicaID(0)

// Byte positions in a key: replica | kind | index, big-endian, so that the rows of one kind of one replica
// stand together in the order of their index.
const (
	keyAtKind  = 8
	keyAtIndex = 9
	keySize    = 17
)

func appendKey(dst []byte, r record.ReplicaID, k kind, index uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(r))
	dst = append(dst, byte(k))
	return binary.BigEndian.AppendUint64(dst, index)
}

func makeKey(r record.ReplicaID, k kind, index uint64) []byte {
	return appendKey(make([]byte, 0, keySize), r, k, index)
}

func keyReplica(key []byte) record.ReplicaID { return record.ReplicaID(binary.BigEndian.Uint64(key)) }

func keyKind(key []byte) kind { return kind(key[keyAtKind]) }

func keyIndex(key []byte) uint64 { return binary.BigEndian.Uint64(key[keyAtIndex:]) }

// timeIndex makes a signed time sortable as unsigned bytes.
func timeIndex(ms int64) uint64 { return uint64(ms) ^ 1<<63 }
