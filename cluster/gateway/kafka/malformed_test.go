package kafka

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// framed puts a size and a request header of version 1 (flexible: 2) in front of a body. size 0 means the
// true one.
func framed(key, version int16, flexible bool, size int, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 4), uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, 0, 1, 'c')
	if flexible {
		b = append(b, 0)
	}
	b = append(b, body...)
	if size == 0 {
		size = len(b) - 4
	}
	binary.BigEndian.PutUint32(b, uint32(size))
	return b
}

func hostileFrames() map[string][]byte {
	zeros := make([]byte, 8<<20)
	produce := func(topics ...byte) []byte {
		head := []byte{0, 0xff, 0xff, 0, 0, 0, 9} // no transaction, acks all, timeout
		return framed(0, 9, true, 0, append(head, topics...)...)
	}
	absurd := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	return map[string][]byte{
		"http":                   []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"garbage":                []byte(strings.Repeat("\x00\x00\x01\x00\xde\xad\xbe\xef", 64)),
		"negative size":          {0xff, 0xff, 0xff, 0xff},
		"zero size":              {0, 0, 0, 0},
		"too short":              {0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0},
		"over the limit":         framed(3, 9, true, 101<<20),
		"unknown key":            framed(999, 0, false, 0),
		"negative key":           framed(-1, 0, false, 0),
		"unknown version":        framed(3, 99, true, 0),
		"fetch 3":                framed(1, 3, false, 0, zeros[:60]...),
		"client id -2":           append(framed(3, 1, false, 12)[:12], 0xff, 0xfe),
		"client id behind frame": append(framed(3, 1, false, 12)[:12], 0x7f, 0xff),
		"header tags":            append(framed(3, 9, false, 20), absurd...),
		"metadata count":         framed(3, 1, false, 0, 0x7f, 0xff, 0xff, 0xff),
		"metadata compact count": framed(3, 9, true, 0, absurd...),
		"metadata many empties":  framed(3, 1, false, 0, append([]byte{0, 0x20, 0, 0}, zeros[:7<<20]...)...),
		"metadata over control":  framed(3, 1, false, 50<<20, append([]byte{1, 0, 0, 0}, zeros...)...),
		"produce topics":         produce(absurd...),
		"produce partitions":     produce(append([]byte{2, 2, 't'}, absurd...)...),
		"produce many topics":    produce(append([]byte{0x81, 0x80, 0x80, 1}, zeros[:7<<20]...)...),
		"produce records":        produce(append([]byte{2, 2, 't', 2, 0, 0, 0, 0}, absurd...)...),
		"produce tags":           produce(append([]byte{1}, absurd...)...),
		"fetch forgotten":        framed(1, 12, true, 0, append(append(zeros[:25:25], 1), absurd...)...),
		"init id tag":            framed(22, 2, true, 0, append([]byte{0, 0, 0, 0, 0}, absurd...)...),
		"bytes behind":           framed(22, 0, false, 0, 0xff, 0xff, 0, 0, 0, 0, 9),
	}
}

// Goal: whatever is sent costs its own connection, little memory, and nothing else. Method: each frame on
// a connection of its own, which must be closed; what the whole process allocated meanwhile is bounded;
// another connection still works.
func TestMalformedFrames(t *testing.T) {
	port := newMemPort()
	port.topic("t", 1)
	member := NewCredit(256 << 20)
	d := openDoor(t, port, func(o *Options) { o.MemberBytes = member })
	healthy := d.dial()
	meta := kmsg.NewPtrMetadataRequest()
	meta.Version = 9
	healthy.ask(meta)
	for name, b := range hostileFrames() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := d.dial()
			r.t = t
			r.nc.Write(b) // may fail: the door closes as soon as it has seen enough
			r.closed()
			runtime.ReadMemStats(&after)
			limit := uint64(1<<20 + len(b))
			if got := after.TotalAlloc - before.TotalAlloc; got > limit {
				t.Fatalf("%d bytes allocated for a frame of %d", got, len(b))
			}
		})
	}
	healthy.ask(meta)
	eventually(t, "all credit is back", func() bool { return member.Used() == 0 })
	eventually(t, "every connection has ended as malformed", func() bool {
		return len(d.seen.causes()) == len(hostileFrames())
	})
	for _, cause := range d.seen.causes() {
		if cause != CauseMalformed {
			t.Fatalf("causes %v", d.seen.causes())
		}
	}
}

// Goal: announced bytes take no memory before they come, and half-open connections end. Method: many
// connections that announce 60 MB each and stop, or send byte after byte; the heap must stay small and
// all must be closed in time.
func TestHalfOpenConnections(t *testing.T) {
	port := newMemPort()
	port.topic("t", 1)
	d := openDoor(t, port, func(o *Options) { o.FrameTimeout, o.MinRate = 200*time.Millisecond, 64<<20 })
	head := []byte{0, 0xff, 0xff, 0, 0, 0, 9, 2}
	size := binary.AppendUvarint(nil, 1<<20-100)
	openings := [][]byte{
		{0, 0},
		{0, 0, 0, 100},
		framed(3, 9, true, 100)[:9],
		framed(0, 9, true, 1<<20, append(append(append(head, 2, 't', 2), 0, 0, 0, 0), size...)...),
		framed(0, 9, true, 1<<20, append(append(append(head, 3, 'n', 'o', 2), 0, 0, 0, 0), size...)...),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var all []*raw
	for range 10 {
		for _, b := range openings {
			r := d.dial()
			r.write(b)
			all = append(all, r)
		}
	}
	began := time.Now()
	for _, r := range all {
		r.closed()
	}
	runtime.ReadMemStats(&after)
	// Ten of them may hold a buffer of the topic's max.message.bytes; nothing else is large.
	if got := after.TotalAlloc - before.TotalAlloc; got > 10<<20+uint64(len(all))*(64<<10) {
		t.Fatalf("%d bytes allocated for %d half-open connections", got, len(all))
	}
	if took := time.Since(began); took > patience/2 {
		t.Fatalf("closed after %v", took)
	}
	eventually(t, "all ended by time-out", func() bool { return len(d.seen.causes()) == len(all) })
	for _, cause := range d.seen.causes() {
		if cause != CauseTimeout {
			t.Fatalf("causes %v", d.seen.causes())
		}
	}
}
