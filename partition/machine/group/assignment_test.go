package group

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	diskv1 "github.com/millstream-io/millstream/proto/disk/v1"
)

var kafkaAssignment = []byte("\x00\x01\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00\x00")

func ownBytes(t testing.TB) []byte {
	b, err := proto.Marshal(&diskv1.GroupAssignment{Version: 1, Partitions: []*diskv1.GroupPartitions{
		{Topic: "t", TopicId: make([]byte, 16), Partitions: []int32{4, 2}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Goal: the partitions of members are read in groups of both types, and made up in none. Method: a table.
func TestAssigned(t *testing.T) {
	both := []TopicPartition{{"t", 2}, {"t", 4}}
	for name, tt := range map[string]struct {
		protocolType string
		bytes        []byte
		want         []TopicPartition
		ok           bool
	}{
		"consumer":     {TypeConsumer, kafkaAssignment, both, true},
		"ours":         {TypeMillstream, ownBytes(t), both, true},
		"nothing":      {TypeMillstream, nil, nil, true},
		"cut short":    {TypeConsumer, kafkaAssignment[:12], nil, false},
		"of the other": {TypeMillstream, kafkaAssignment, nil, false},
		"connect":      {"connect", kafkaAssignment, nil, false},
	} {
		got, ok := Assigned(tt.protocolType, tt.bytes)
		if ok != tt.ok || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

// FuzzAssigned: any bytes are read or refused; what is read is ascending.
func FuzzAssigned(f *testing.F) {
	f.Add(true, kafkaAssignment)
	f.Add(false, ownBytes(f))
	f.Fuzz(func(t *testing.T, consumer bool, b []byte) {
		of := TypeMillstream
		if consumer {
			of = TypeConsumer
		}
		parts, _ := Assigned(of, b)
		if !slices.IsSortedFunc(parts, compare) {
			t.Errorf("%v", parts)
		}
		subscription(of, b)
	})
}
