package group

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// Bytes that another implementation of Kafka's schemas wrote: versions 0 to 3 of one value, and an empty group.
const (
	metadataBytes0 = "00000008636f6e73756d657200000005000572616e67650003612d31" +
		"000000020003612d31000161000a2f3132372e302e302e310000afc8000000020102000000010" +
		"30003612d32000161000a2f3132372e302e302e310000afc80000000201020000000103"
	metadataBytes3 = "00030008636f6e73756d657200000005000572616e67650003612d310000018bcfe56800" +
		"000000020003612d31ffff000161000a2f3132372e302e302e310000ea600000afc80000000201020000000103" +
		"0003612d3200036f6e65000161000a2f3132372e302e302e310000ea600000afc80000000201020000000103"
	metadataEmpty = "00030008636f6e73756d657200000006ffffffff0000018bcfe5680000000000"
)

// about is what the bytes of version 3 say.
func about() *Metadata {
	m := &Metadata{
		ProtocolType: "consumer", Generation: 5, Protocol: "range", Leader: "a-1", SinceMs: 1700000000000,
	}
	for _, id := range []Identity{{"a-1", ""}, {"a-2", "one"}} {
		m.Members = append(m.Members, MemberMetadata{
			ID: id.ID, Instance: id.Instance, ClientID: "a", ClientHost: "/127.0.0.1",
			Rebalance: time.Minute, Session: 45 * time.Second, Subscription: []byte{1, 2}, Assignment: []byte{3},
		})
	}
	return m
}

// Goal: metadata rows are byte for byte Kafka's, and its older versions are read. Method: known bytes.
func TestMetadataRowsAreKafkas(t *testing.T) {
	if got := hex.EncodeToString(appendMetadataKey(nil, "my-group")); got != "000200086d792d67726f7570" {
		t.Errorf("key is %s", got)
	}
	if k, err := decodeKey(unhex("000200086d792d67726f7570")); err != nil || !k.known || !k.ofGroup || k.group != "my-group" {
		t.Errorf("%+v, %v", k, err)
	}
	if got := hex.EncodeToString(appendMetadata(nil, about())); got != metadataBytes3 {
		t.Errorf("written %s", got)
	}
	if m, err := decodeMetadata(unhex(metadataBytes3)); err != nil || !reflect.DeepEqual(m, about()) {
		t.Errorf("%+v, %v", m, err)
	}
	oldest := about()
	oldest.SinceMs, oldest.Members[1].Instance = -1, ""
	for i := range oldest.Members {
		oldest.Members[i].Rebalance = 45 * time.Second
	}
	if m, err := decodeMetadata(unhex(metadataBytes0)); err != nil || !reflect.DeepEqual(m, oldest) {
		t.Errorf("version 0: %+v, %v", m, err)
	}
	m, err := decodeMetadata(unhex(metadataEmpty))
	if err != nil || m.Generation != 6 || len(m.Members) != 0 || hex.EncodeToString(appendMetadata(nil, m)) != metadataEmpty {
		t.Errorf("empty: %+v, %v", m, err)
	}
}

// Goal: malformed metadata is damage, and takes no memory that its bytes do not. Method: cut and prolonged
// bytes, a newer version, absurd counts.
func TestMetadataMalformed(t *testing.T) {
	good := unhex(metadataBytes3)
	bad := [][]byte{append(bytes.Clone(good), 0), unhex(strings.Replace(metadataEmpty, "00000006", "ffffffff", 1)),
		unhex(metadataEmpty[:len(metadataEmpty)-8] + "7fffffff")}
	for cut := range good {
		bad = append(bad, good[:cut])
	}
	for _, b := range bad {
		if _, err := decodeMetadata(b); fault.CodeOf(err) != fault.CorruptRecord {
			t.Errorf("%x: %v", b, err)
		}
	}
	newer := bytes.Clone(good)
	newer[1] = 4
	if _, err := decodeMetadata(newer); fault.CodeOf(err) != fault.UnsupportedVersion {
		t.Error(err)
	}
}

// withMetadata is a machine of two groups: one with members and positions, one without.
func withMetadata() *Machine {
	m := replay([]state.Entry{records(commit(0, NoGeneration, 2)), records(commit(1, 3, 2))})
	m.metadata["g"] = about()
	m.metadata["h"] = &Metadata{ProtocolType: "connect", Generation: 2, SinceMs: 7}
	return m
}

// Goal: metadata is part of the snapshot, snapshots of the version before are read, and a listing tells all
// groups. Method: restore; take the metadata away and write version 1 by hand.
func TestMetadataInSnapshot(t *testing.T) {
	m, again := withMetadata(), New()
	if err := again.Restore(m.Snapshot()); err != nil || !reflect.DeepEqual(again.metadata, m.metadata) ||
		!reflect.DeepEqual(again.groups, m.groups) {
		t.Fatalf("%v: %+v", err, again.metadata)
	}
	want := []Listed{{"g", "consumer", 2, 2}, {"h", "connect", 0, 0}}
	if got := again.Query(List{}).([]Listed); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	stored := again.Query(Load{"g"}).(Stored)
	if len(stored.Positions) != 2 || stored.Positions[0].Fenced || !stored.Positions[1].Fenced || stored.Metadata.Generation != 5 {
		t.Errorf("%+v", stored)
	}
	clear(m.metadata)
	old := m.Snapshot()
	old[0] = snapshotOldest
	if err := again.Restore(old); err != nil || len(again.metadata) != 0 || len(again.groups) != 1 {
		t.Errorf("version 1: %v", err)
	}
	twice := slices.Concat([]byte{2, 2}, slices.Repeat(metadataRow(), 2))
	if err := again.Restore(twice); fault.CodeOf(err) != fault.CorruptRecord {
		t.Errorf("twice: %v", err)
	}
}

// metadataRow is one row of a snapshot.
func metadataRow() []byte {
	m := New()
	m.metadata["h"] = &Metadata{ProtocolType: "connect", Generation: 2}
	return m.Snapshot()[2:]
}

// FuzzMetadata. Goal: no bytes crash the decoders of what is stored of members and of what they say, and metadata that
// is taken comes back equal. Method: the fuzzer's bytes, seeded with good ones, for both.
func FuzzMetadata(f *testing.F) {
	for _, s := range []string{metadataBytes0, metadataBytes3, metadataEmpty} {
		f.Add(unhex(s))
	}
	f.Add(subscriptionTo("a", "b"))
	f.Add([]byte{0, 1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if topics, ok := consumerSubscription(b); ok && len(topics) > len(b) {
			t.Fatalf("%d topics in %d bytes", len(topics), len(b))
		}
		m, err := decodeMetadata(b)
		if err != nil {
			return
		}
		if again, err := decodeMetadata(appendMetadata(nil, m)); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
