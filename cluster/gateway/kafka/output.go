package kafka

import (
	"encoding/binary"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// keepHead is the largest head buffer in bytes that is kept for the next answers.
const keepHead = 256 << 10

// output collects the answers of one write: what was encoded, in one buffer, and the batches that belong
// in between.
type output struct {
	version int16 // of the answer being encoded
	head    []byte
	cuts    []cut
	spliced int // bytes of batches
}

// cut says that data stands in front of head[at].
type cut struct {
	at   int
	data []byte
}

// begin starts an answer: room for its size, then its header.
func (o *output) begin(correlation int32, flexible bool, version int16) (start, spliced int) {
	start, spliced = len(o.head), o.spliced
	o.version = version
	o.head = append(o.head, 0, 0, 0, 0)
	o.head = binary.BigEndian.AppendUint32(o.head, uint32(correlation))
	if flexible {
		o.head = append(o.head, 0)
	}
	return start, spliced
}

// end fills the size in and returns the answer's bytes.
func (o *output) end(start, spliced int) int {
	n := len(o.head) - start - 4 + o.spliced - spliced
	binary.BigEndian.PutUint32(o.head[start:], uint32(n))
	return n + 4
}

// message appends a body that kmsg encodes.
func (o *output) message(m kmsg.Response) {
	m.SetVersion(o.version)
	o.head = m.AppendTo(o.head)
}

// splice puts data behind what has been encoded so far, without copying it.
func (o *output) splice(data []byte) {
	o.cuts = append(o.cuts, cut{at: len(o.head), data: data})
	o.spliced += len(data)
}

// size is the number of bytes collected.
func (o *output) size() int { return len(o.head) + o.spliced }

// buffers returns everything in the order of the wire, ready for one writev.
func (o *output) buffers(dst net.Buffers) net.Buffers {
	at := 0
	for _, c := range o.cuts {
		if c.at > at {
			dst = append(dst, o.head[at:c.at])
			at = c.at
		}
		dst = append(dst, c.data)
	}
	if at < len(o.head) {
		dst = append(dst, o.head[at:])
	}
	return dst
}

// reset forgets everything and keeps the buffers, unless they have grown out of proportion.
func (o *output) reset() {
	clear(o.cuts)
	o.cuts, o.head, o.spliced = o.cuts[:0], o.head[:0], 0
	if cap(o.head) > keepHead {
		o.head = nil
	}
	if cap(o.cuts) > keepHead/16 {
		o.cuts = nil
	}
}

func (o *output) int16(v int16) { o.head = binary.BigEndian.AppendUint16(o.head, uint16(v)) }
func (o *output) int32(v int32) { o.head = binary.BigEndian.AppendUint32(o.head, uint32(v)) }
func (o *output) int64(v int64) { o.head = binary.BigEndian.AppendUint64(o.head, uint64(v)) }

// count appends the length of an array or of a byte string, -1 for null.
func (o *output) count(n int, flexible bool) {
	if flexible {
		o.head = binary.AppendUvarint(o.head, uint64(n+1))
		return
	}
	o.int32(int32(n))
}

// text appends a string.
func (o *output) text(s string, flexible bool) {
	if flexible {
		o.head = binary.AppendUvarint(o.head, uint64(len(s)+1))
	} else {
		o.int16(int16(len(s)))
	}
	o.head = append(o.head, s...)
}

// noTags ends a structure that has no tagged fields.
func (o *output) noTags(flexible bool) {
	if flexible {
		o.head = append(o.head, 0)
	}
}
