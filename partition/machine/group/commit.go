package group

import (
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// NoGeneration is the generation of a commit that is not fenced, as of a tool. It is refused where a
// generation was committed before.
const NoGeneration int32 = -1

// Limits of one commit. Kafka's defaults where it has one.
const (
	MaxNameBytes     = 1<<15 - 1 // of a group and a topic: the codec counts them in 16 bits
	MaxMetadataBytes = 4096
	MaxCommitBytes   = 4 << 20 // of all rows together
	rowOverhead      = 96      // bytes of a row besides its names and metadata, generously
)

// TopicPartition names a partition by its topic's name, as groups do: their positions outlive a topic's id.
type TopicPartition struct {
	Topic     string
	Partition record.Partition
}

// Position is one committed position: the offset that the group reads next. As with Kafka a client may store any
// offset: consumers take a negative one for none, and some tools write it to say that (-1 the end, -2 the start).
type Position struct {
	TopicPartition
	Offset      record.Offset
	LeaderEpoch record.Epoch // of the last record that was read, or record.NoEpoch
	Metadata    string       // the client's own
}

// Commit asks for positions of a group to be stored. Generation is the epoch of the committing task or the
// generation of its group, or NoGeneration. TimeMs is when, in milliseconds since 1970.
type Commit struct {
	Group      string
	Generation int32
	TimeMs     int64
	Positions  []Position
}

// Frame encodes a commit as one uncompressed batch behind state.FrameRoom bytes of room, in a new buffer
// that the caller owns. Error: fault.InvalidRequest for no group or position, or one that is too long.
func Frame(c Commit) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	var b record.Builder
	for i := range c.Positions {
		p := &c.Positions[i]
		row := record.Record{
			TimestampMs: c.TimeMs,
			Key:         appendKey(nil, c.Group, p.TopicPartition),
			Value: appendValue(nil, value{
				offset: p.Offset, leaderEpoch: p.LeaderEpoch, metadata: p.Metadata, timeMs: c.TimeMs,
				generation: max(c.Generation, NoGeneration),
			}),
		}
		if err := b.Append(&row); err != nil {
			return nil, err
		}
	}
	return b.Build(state.FrameRoom, record.CodecNone)
}

func (c *Commit) check() error {
	if c.Group == "" || len(c.Group) > MaxNameBytes || len(c.Positions) == 0 {
		return fault.New(fault.InvalidRequest,
			"commit of %d positions for a group name of %d bytes", len(c.Positions),
			len(c.Group)).WithHint("name a group and at least one position")
	}
	size := 0
	for i := range c.Positions {
		p := &c.Positions[i]
		size += rowOverhead + len(c.Group) + len(p.Topic) + len(p.Metadata)
		switch {
		case size > MaxCommitBytes:
			return fault.New(fault.RecordTooLarge, "commit of %d positions is over %d bytes", len(c.Positions), MaxCommitBytes).
				WithHint("commit fewer positions at a time")
		case p.Topic == "" || len(p.Topic) > MaxNameBytes || p.Partition < 0:
			return fault.New(fault.InvalidRequest, "commit names partition %d of a topic of %d bytes",
				p.Partition, len(p.Topic))
		case len(p.Metadata) > MaxMetadataBytes:
			return fault.New(fault.OffsetMetadataTooLarge, "commit for %s/%d has %d bytes of metadata, %d are taken", p.Topic,
				p.Partition, len(p.Metadata), MaxMetadataBytes)
		}
	}
	return nil
}
