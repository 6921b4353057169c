package raftlog

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

const (
	termsVersion  = 1
	termStartSize = 24
)

// EncodeTerms encodes the table for a carried row: version, then term, index and offset of each start,
// big-endian.
func EncodeTerms(terms []TermStart) []byte {
	b := make([]byte, 1, 1+len(terms)*termStartSize)
	b[0] = termsVersion
	for _, t := range terms {
		b = binary.BigEndian.AppendUint64(b, t.Term)
		b = binary.BigEndian.AppendUint64(b, t.Index)
		b = binary.BigEndian.AppendUint64(b, uint64(t.Offset))
	}
	return b
}

// DecodeTerms reads what EncodeTerms wrote. Error: fault.CorruptRecord where it is not a table whose terms
// and indexes rise and whose offsets never fall.
func DecodeTerms(b []byte) ([]TermStart, error) {
	if len(b) < 1+termStartSize || (len(b)-1)%termStartSize != 0 {
		return nil, fault.New(fault.CorruptRecord, "term table of %d bytes", len(b))
	}
	if b[0] != termsVersion {
		return nil, fault.New(fault.CorruptRecord, "term table version %d, this build reads %d", b[0], termsVersion)
	}
	terms := make([]TermStart, 0, len(b)/termStartSize)
	for b = b[1:]; len(b) > 0; b = b[termStartSize:] {
		t := TermStart{
			Term:   binary.BigEndian.Uint64(b),
			Index:  binary.BigEndian.Uint64(b[8:]),
			Offset: record.Offset(binary.BigEndian.Uint64(b[16:])),
		}
		if n := len(terms); t.Offset < 0 || n > 0 &&
			(terms[n-1].Term >= t.Term || terms[n-1].Index >= t.Index || terms[n-1].Offset > t.Offset) {
			return nil, fault.New(fault.CorruptRecord, "term table is not ascending at term %d", t.Term)
		}
		terms = append(terms, t)
	}
	return terms, nil
}
