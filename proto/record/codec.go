package record

import "fmt"

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
