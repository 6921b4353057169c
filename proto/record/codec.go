package record

import (
	"fmt"

	"github.com/millstream-io/millstream/proto/fault"
)

// Codec is the compression of a batch's records, numbered as in the attributes field.
type Codec uint8

// The codecs of RecordBatch v2.
const (
	CodecNone Codec = iota
	CodecGzip
	CodecSnappy
	CodecLZ4
	CodecZstd
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String returns the name that topic configs and the command line use.
func (c Codec) String() string {
	if int(c) < len(codecNames) {
		return codecNames[c]
	}
	return fmt.Sprintf("codec-%d", uint8(c))
}

// ParseCodec is the opposite of String. Error: fault.UnsupportedCompression.
func ParseCodec(name string) (Codec, error) {
	for i, n := range codecNames {
		if n == name {
			return Codec(i), nil
		}
	}
	return CodecNone, fault.New(fault.UnsupportedCompression, "there is no compression %q", name).
		WithHint("use none, gzip, snappy, lz4 or zstd")
}
