package group

import (
	"encoding/binary"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
)

// Version of Kafka's GroupMetadataKey, and the versions of GroupMetadataValue that are read. Version 3 is
// written: the first one that names static members.
const (
	keyMetadata      = 2
	metadataStatic   = 3
	metadataRejoin   = 1 // has a rebalance timeout
	metadataStamped  = 2 // has the time of the state
	metadataOldest   = 0
	leastMemberBytes = 16 // that an encoded member takes, whatever it says
)

// Metadata is what is stored of a group with members at the end of each rebalance: Kafka's
// GroupMetadataValue. A group without members has Generation and ProtocolType only.
type Metadata struct {
	ProtocolType string // "consumer", "connect", …; opaque
	Generation   int32
	Protocol     string // that the members agreed on, empty without one
	Leader       string // member id, empty without one
	SinceMs      int64  // when the group came to be as it is here, in milliseconds since 1970
	Members      []MemberMetadata
}

// MemberMetadata is one member of Metadata.
type MemberMetadata struct {
	ID, Instance         string // Instance is empty for a dynamic member
	ClientID, ClientHost string
	Rebalance, Session   time.Duration
	Subscription         []byte // what the member sent for Protocol
	Assignment           []byte
}

func appendMetadataKey(b []byte, group string) []byte {
	return appendString(binary.BigEndian.AppendUint16(b, keyMetadata), group)
}

func appendMetadata(b []byte, m *Metadata) []byte {
	b = binary.BigEndian.AppendUint16(b, metadataStatic)
	b = appendString(b, m.ProtocolType)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Generation))
	b = appendNullable(b, m.Protocol)
	b = appendNullable(b, m.Leader)
	b = binary.BigEndian.AppendUint64(b, uint64(m.SinceMs))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Members)))
	for i := range m.Members {
		p := &m.Members[i]
		b = appendString(b, p.ID)
		b = appendNullable(b, p.Instance)
		b = appendString(b, p.ClientID)
		b = appendString(b, p.ClientHost)
		b = binary.BigEndian.AppendUint32(b, uint32(p.Rebalance.Milliseconds()))
		b = binary.BigEndian.AppendUint32(b, uint32(p.Session.Milliseconds()))
		b = appendBytes(b, p.Subscription)
		b = appendBytes(b, p.Assignment)
	}
	return b
}

// decodeMetadata reads a value; nothing in it aliases b. Errors: fault.CorruptRecord, and
// fault.UnsupportedVersion for one that a newer build wrote.
func decodeMetadata(b []byte) (*Metadata, error) {
	d := cursor{rest: b}
	version := d.uint16()
	if !d.bad && version > metadataStatic {
		return nil, fault.New(fault.UnsupportedVersion, "group metadata has version %d, this build reads %d to %d",
			version, metadataOldest, metadataStatic).WithHint("start a build that is not older than the data directory")
	}
	m := &Metadata{ProtocolType: d.string16(), Generation: int32(d.uint32()), Protocol: d.nullable(), Leader: d.nullable()}
	m.SinceMs = -1
	if version >= metadataStamped {
		m.SinceMs = int64(d.uint64())
	}
	n := d.uint32()
	if uint64(n)*leastMemberBytes > uint64(len(d.rest)) {
		d.bad = true
	}
	for ; n > 0 && !d.bad; n-- {
		m.Members = append(m.Members, d.member(version))
	}
	if d.bad || len(d.rest) != 0 || m.Generation < 0 || len(m.Members) > 0 && m.Protocol == "" {
		return nil, d.fault("metadata")
	}
	return m, nil
}

func (d *cursor) member(version uint16) MemberMetadata {
	p := MemberMetadata{ID: d.string16()}
	if version >= metadataStatic {
		p.Instance = d.nullable()
	}
	p.ClientID, p.ClientHost = d.string16(), d.string16()
	if version >= metadataRejoin {
		p.Rebalance = d.milliseconds()
	}
	p.Session = d.milliseconds()
	if version < metadataRejoin {
		p.Rebalance = p.Session
	}
	p.Subscription, p.Assignment = d.bytes32(), d.bytes32()
	d.bad = d.bad || p.ID == ""
	return p
}

func (d *cursor) milliseconds() time.Duration {
	n := int32(d.uint32())
	d.bad = d.bad || n < 0
	return time.Duration(n) * time.Millisecond
}

// nullable reads a string that may be null, which reads as the empty one.
func (d *cursor) nullable() string {
	n := d.uint16()
	switch {
	case n == 1<<16-1:
		return ""
	case n >= 1<<15:
		d.bad = true
		return ""
	}
	return string(d.take(uint64(n)))
}

// bytes32 reads bytes and copies them.
func (d *cursor) bytes32() []byte {
	n := d.uint32()
	if n >= 1<<31 {
		d.bad = true
		return nil
	}
	return append([]byte{}, d.take(uint64(n))...)
}

func appendNullable(b []byte, s string) []byte {
	if s == "" {
		return binary.BigEndian.AppendUint16(b, 1<<16-1)
	}
	return appendString(b, s)
}

func appendBytes(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}
