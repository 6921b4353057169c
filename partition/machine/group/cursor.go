package group

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
)

// cursor reads big-endian fields off a slice. After the first field that is not there, bad is set and all
// that follow are zero.
type cursor struct {
	rest []byte
	bad  bool
}

// take cuts n bytes off; they alias the slice.
func (d *cursor) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *cursor) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *cursor) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *cursor) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *cursor) string16() string {
	n := d.uint16()
	if n >= 1<<15 { // a null string has length -1; no field here may be null
		d.bad = true
	}
	return string(d.take(uint64(n)))
}

func (d *cursor) compactString() string {
	n := d.uvarint()
	if n == 0 {
		d.bad = true
	}
	return string(d.take(n - 1))
}

func (d *cursor) fault(what string) error {
	return fault.New(fault.CorruptRecord, "committed offset: its %s is cut short or malformed", what)
}
