package kafka

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// silentConn is a connection that reads from memory and forgets what is written.
type silentConn struct{ io.Reader }

func (silentConn) Write(b []byte) (int, error)      { return len(b), nil }
func (silentConn) Close() error                     { return nil }
func (silentConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (silentConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (silentConn) SetDeadline(time.Time) error      { return nil }
func (silentConn) SetReadDeadline(time.Time) error  { return nil }
func (silentConn) SetWriteDeadline(time.Time) error { return nil }

// fuzzDoor runs one connection over the bytes, in this goroutine and its writer's, and reports whether
// all is given back.
func fuzzDoor(t *testing.T, b []byte) {
	port := newMemPort()
	port.topic("t", 2)
	seen := &ledger{}
	member := NewCredit(64 << 20)
	o := Options{Observer: seen, MemberBytes: member}.withDefaults()
	s := &server{port: port, o: o, conns: map[*conn]struct{}{}}
	c := newConn(s, silentConn{bytes.NewReader(b)})
	c.run()
	if seen.panics > 0 {
		t.Fatal("a handler panicked")
	}
	if member.Used() != 0 || c.credit.Used() != 0 || len(c.waits) != 0 {
		t.Fatalf("credit kept: %d and %d; %d long polls", member.Used(), c.credit.Used(), len(c.waits))
	}
}

// FuzzConnection. Goal: no bytes make a handler panic or keep credit. Method: a connection reads the
// fuzzer's bytes; seeds are random requests of every key and version, and the hostile frames.
func FuzzConnection(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, a := range served() {
		for v := a.min; v <= a.max; v++ {
			f.Add(formatter.AppendRequest(nil, randomRequest(r, a.key, v), 1))
		}
	}
	for _, b := range hostileFrames() {
		f.Add(b[:min(len(b), 4<<10)])
	}
	f.Fuzz(func(t *testing.T, b []byte) { fuzzDoor(t, b) })
}

// FuzzRequest. Goal: as FuzzConnection, but the fuzzer gets past the framing. Method: the size, key and
// version are made to fit; only what follows is the fuzzer's.
func FuzzRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	list := served()
	for i, a := range list {
		for v := a.min; v <= a.max; v++ {
			b := formatter.AppendRequest(nil, randomRequest(r, a.key, v), 1)
			f.Add(uint8(i), uint8(v-a.min), b[8:])
		}
	}
	f.Fuzz(func(t *testing.T, key, version uint8, rest []byte) {
		a := list[int(key)%len(list)]
		b := binary.BigEndian.AppendUint32(nil, uint32(len(rest)+4))
		b = binary.BigEndian.AppendUint16(b, uint16(a.key))
		b = binary.BigEndian.AppendUint16(b, uint16(a.min+int16(version)%(a.max-a.min+1)))
		fuzzDoor(t, append(b, rest...))
	})
}

// FuzzProduce. Goal: the reader that takes a Produce from the socket piece by piece never reads past its
// frame, whatever comes in whatever pieces. Method: the fuzzer's body in a frame of its size, behind it
// an ApiVersions request that must be answered when the Produce was taken.
func FuzzProduce(f *testing.F) {
	for v := int16(0); v <= 13; v++ {
		for _, records := range [][]byte{nil, {}, testBatch("v", 1), make([]byte, 100)} {
			f.Add(v, uint8(v), produceRequest(v, "t", [16]byte{7, 15: 1}, 0, records).AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, version int16, piece uint8, body []byte) {
		version = int16(uint16(version) % 14)
		b := framed(keyProduce, version, version >= 9, 0, body...)
		port := newMemPort()
		port.topic("t", 2)
		seen := &ledger{}
		s := &server{port: port, o: Options{Observer: seen}.withDefaults(), conns: map[*conn]struct{}{}}
		next := framed(keyApiVersions, 0, false, 0)
		in := &pieces{b: append(b, next...), n: 1 + int(piece)}
		c := newConn(s, silentConn{in})
		c.run()
		if seen.panics > 0 || c.credit.Used() != 0 {
			t.Fatalf("%d panics, %d bytes of credit kept", seen.panics, c.credit.Used())
		}
		if c.ended() == CauseClient && seen.answered == 0 {
			t.Fatal("the request behind the Produce was not answered")
		}
	})
}

// pieces is a reader that gives at most n bytes at a time.
type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(dst []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(dst[:min(len(dst), p.n)], p.b)
	p.b = p.b[n:]
	return n, nil
}
