package record

import "encoding/binary"

// Filter takes records out of batches, for log compaction. It keeps its buffers from batch to batch. The zero
// value is ready. One goroutine only.
type Filter struct {
	reader  Reader
	records []byte // what stays, uncompressed
}

// Append appends to dst b without the records that keep refuses, and returns how many stay. Where all stay,
// or none, it appends nothing: the caller has b already, or takes AppendEmptied. What stays keeps its
// bytes, and with them offset, timestamp and headers; the batch keeps its codec, base offset, last offset
// delta, timestamps, attributes, producer and leader epoch.
//
// keep sees the records in order, once each and without headers; key and value are valid inside it only.
// limit is Open's. The bytes of b do not change, and dst does not alias them afterwards. Errors: Open's,
// and then dst is as it was.
func (f *Filter) Append(dst []byte, b Batch, limit int, keep func(Record) bool) ([]byte, int32, error) {
	all, kept, err := f.walk(b, limit, keep)
	if err != nil || kept == 0 || kept == b.Count() {
		return dst, kept, err
	}
	at := len(dst)
	out := append(dst, b[:HeaderSize]...)
	if c := b.Codec(); c == CodecNone {
		out = append(out, all...)
	} else if out, err = compress(c, out, all); err != nil {
		return dst, 0, err
	}
	n := Batch(out[at:])
	binary.BigEndian.PutUint32(n[atLength:], uint32(len(n)-lengthOverhead))
	binary.BigEndian.PutUint32(n[atCount:], uint32(kept))
	n.putCRC()
	return out, kept, nil
}

// walk asks keep for every record and returns the bytes of those that stay, where some do and some do not.
func (f *Filter) walk(b Batch, limit int, keep func(Record) bool) (stay []byte, kept int32, err error) {
	r := &f.reader
	if err = r.OpenBare(b, limit); err != nil {
		return nil, 0, err
	}
	var rec Record
	all, from, at := r.rest, 0, 0 // all[from:at] stays and is not copied yet
	f.records = f.records[:0]
	for r.Next(&rec) {
		end := len(all) - len(r.rest)
		if keep(rec) {
			kept++
		} else {
			f.records = append(f.records, all[from:at]...)
			from = end
		}
		at = end
	}
	if r.Err() != nil {
		return nil, 0, r.Err()
	}
	if from > 0 {
		f.records = append(f.records, all[from:at]...)
	}
	return f.records, kept, nil
}

// AppendEmptied appends to dst what is left of b when all its records went: the header, with no records and
// no compression. It keeps base offset, last offset delta, timestamps, producer, base sequence and leader
// epoch, so readers step over it and a replica learns from it what the producer has written. The bytes of b
// do not change.
func (b Batch) AppendEmptied(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	n := Batch(dst[at:])
	binary.BigEndian.PutUint32(n[atLength:], HeaderSize-lengthOverhead)
	binary.BigEndian.PutUint16(n[atAttributes:], n.attributes()&^codecMask)
	binary.BigEndian.PutUint32(n[atCount:], 0)
	n.putCRC()
	return dst
}
