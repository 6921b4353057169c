package load

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Where the parts of a value stand. The checksum over all before it comes last; random bytes that do not
// compress, or words that do, fill the rest.
const (
	atRun      = 0
	atProducer = 8
	atSequence = 12
	atDue      = 20
	atFill     = 28
	checksum   = 4

	// LeastValue is the size of the smallest value, in bytes.
	LeastValue = atFill + checksum
)

// fillBytes is the size of a producer's supply of random bytes.
const fillBytes = 1 << 16

// Mark is what a value says of itself.
type Mark struct {
	Run      uint64
	Producer int
	Sequence int64         // from 0, without gaps
	Due      time.Duration // when it was meant to be sent, since the beginning of its run
}

// source makes the values of one producer.
type source struct {
	run      uint64
	producer int
	size     int
	fill     []byte
}

// words are what text is made of.
var words = strings.Fields(`{"order": "customer": "state":"shipped" "amount": "currency":"EUR" "country":"DE" "item":
	"warehouse" "quantity":1 "2026-01-02T03:04:05Z" true null }, {"order":`)

func newSource(run uint64, producer, size int, text bool) *source {
	s := &source{run: run, producer: producer, size: size, fill: make([]byte, fillBytes+size)}
	r := rand.NewPCG(run, uint64(producer))
	for i := 0; text && i < len(s.fill); {
		i += copy(s.fill[i:], words[r.Uint64()%uint64(len(words))])
		i += copy(s.fill[i:], strconv.AppendUint([]byte{' '}, r.Uint64()%10_000, 10))
	}
	for i := 0; !text && i+8 <= len(s.fill); i += 8 {
		binary.LittleEndian.PutUint64(s.fill[i:], r.Uint64())
	}
	return s
}

// value makes a value; its bytes belong to the caller.
func (s *source) value(sequence int64, due time.Duration) []byte {
	v := make([]byte, s.size)
	binary.BigEndian.PutUint64(v[atRun:], s.run)
	binary.BigEndian.PutUint32(v[atProducer:], uint32(s.producer))
	binary.BigEndian.PutUint64(v[atSequence:], uint64(sequence))
	binary.BigEndian.PutUint64(v[atDue:], uint64(due))
	end := s.size - checksum
	copy(v[atFill:end], s.fill[uint64(sequence)*7919%fillBytes:])
	binary.BigEndian.PutUint32(v[end:], crc32.Checksum(v[:end], castagnoli))
	return v
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Parse reads the mark of a value. Error: it is no value of this package, or torn.
func Parse(v []byte) (Mark, error) {
	end := len(v) - checksum
	if end < atFill {
		return Mark{}, fmt.Errorf("a value of %d bytes, at least %d have a mark", len(v), LeastValue)
	}
	if crc32.Checksum(v[:end], castagnoli) != binary.BigEndian.Uint32(v[end:]) {
		return Mark{}, fmt.Errorf("the checksum of a value of %d bytes does not hold", len(v))
	}
	return Mark{
		Run: binary.BigEndian.Uint64(v[atRun:]), Producer: int(binary.BigEndian.Uint32(v[atProducer:])),
		Sequence: int64(binary.BigEndian.Uint64(v[atSequence:])),
		Due:      time.Duration(binary.BigEndian.Uint64(v[atDue:])),
	}, nil
}
