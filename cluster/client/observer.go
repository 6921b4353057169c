package client

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Observer hears what a client does. Any of its functions may be nil. They run on the client's goroutines, several at
// a time, and must not block.
type Observer struct {
	// Answered hears of each attempt to write a batch.
	Answered func(Attempt)
	// Read hears of each answer with records of a partition.
	Read func(Reading)
}

// Attempt is one attempt to write a batch. Bytes are those of the batch as it went out. Err is why it was refused:
// it is then sent again, unless Err is final.
type Attempt struct {
	Topic     string
	Partition record.Partition
	Records   int
	Bytes     int
	Number    int // from 1
	Took      time.Duration
	Err       error
}

// Reading is what came of one partition. Bytes are those of the batches as they are stored. Lag is how many offsets
// lie between what was read and the end of the partition, as it was then.
type Reading struct {
	Topic     string
	Partition record.Partition
	Records   int
	Bytes     int
	Lag       int64
}
