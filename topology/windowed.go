package topology

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology/window"
)

// Windows is how event time is divided into windows; see Tumbling and Hopping, and the methods Grace and
// Retention.
type Windows = window.Windows

// Tumbling returns windows of one size that follow each other without a gap.
func Tumbling(size time.Duration) Windows { return window.Tumbling(size) }

// Hopping returns windows of one size that begin every advance, so that they overlap.
func Hopping(size, advance time.Duration) Windows { return window.Hopping(size, advance) }

// Windowed is a key in one window: [Start, End).
type Windowed[K any] struct {
	Key        K
	Start, End time.Time
}

// String returns "key@[start, end)" with times in UTC.
func (w Windowed[K]) String() string {
	const layout = "2006-01-02T15:04:05.999Z07:00"
	return fmt.Sprintf("%v@[%s, %s)", w.Key, w.Start.UTC().Format(layout), w.End.UTC().Format(layout))
}

// WindowedSerde returns a serde for keys in windows of one size. It writes the key and 8 bytes of start, in
// milliseconds, as the serializer for time windows of Kafka Streams does; the end is not written.
func WindowedSerde[K any](key serde.Serde[K], size time.Duration) serde.Serde[Windowed[K]] {
	return windowedSerde[K]{key: key, size: size}
}

type windowedSerde[K any] struct {
	key  serde.Serde[K]
	size time.Duration
}

// startSize is the size of a window's start behind its key, in bytes.
const startSize = 8

// Append implements serde.Serde.
func (s windowedSerde[K]) Append(dst []byte, info serde.Info, w Windowed[K]) ([]byte, error) {
	dst, err := s.key.Append(dst, info, w.Key)
	if err != nil {
		return dst, err
	}
	return binary.BigEndian.AppendUint64(dst, uint64(w.Start.UnixMilli())), nil
}

// Decode implements serde.Serde.
func (s windowedSerde[K]) Decode(b []byte, info serde.Info) (w Windowed[K], err error) {
	at := len(b) - startSize
	if at < 0 {
		return w, fault.New(fault.InvalidRecord, "key of %d bytes has no window", len(b))
	}
	if w.Key, err = s.key.Decode(b[:at:at], info); err != nil {
		return w, err
	}
	w.Start = time.UnixMilli(int64(binary.BigEndian.Uint64(b[at:])))
	w.End = w.Start.Add(s.size)
	return w, nil
}
