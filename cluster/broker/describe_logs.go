package broker

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// PartitionLog is what DescribeLogs tells of a partition: records that can be read lie in [Start, End). NewestMs is
// the largest timestamp of a record, in milliseconds since 1970, -1 where there is none. Bytes is the size on this
// member's disk, -1 where that is not known. Err says why Start and End are -1.
type PartitionLog struct {
	Start, End record.Offset
	NewestMs   int64
	Bytes      int64
	Err        error
}

// endsOfLogs is what DescribeLogs asks of each partition.
var endsOfLogs = [...]int64{TimestampEarliest, TimestampLatest, TimestampMax}

// DescribeLogs asks p where logs begin and end, how young they are and how large, answers in the order of wanted. It does
// not block; done runs once. What cannot be told of the age or the size of a log is left out of its answer.
func DescribeLogs(p Port, who Who, wanted []PartitionName, deadline time.Time, done func([]PartitionLog)) {
	logs := make([]PartitionLog, len(wanted))
	if len(wanted) == 0 {
		done(logs)
		return
	}
	ask := make([]OffsetQuery, 0, len(wanted)*len(endsOfLogs))
	for _, w := range wanted {
		for _, ms := range endsOfLogs {
			ask = append(ask, OffsetQuery{Topic: w.Topic, Partition: w.Partition, Epoch: record.NoEpoch, TimestampMs: ms})
		}
	}
	p.ListOffsets(who, ask, deadline, func(a []OffsetAnswer) {
		for i := range logs {
			logs[i] = logBetween(a[i*len(endsOfLogs) : (i+1)*len(endsOfLogs)])
		}
		p.DescribeLogDir(who, wanted, deadline, func(d LogDir) {
			size := make(map[PartitionName]int64, len(d.Partitions))
			for _, s := range d.Partitions {
				size[s.PartitionName] = s.Bytes
			}
			for i, w := range wanted {
				if n, here := size[w]; here {
					logs[i].Bytes = n
				}
			}
			done(logs)
		})
	})
}

// logBetween reads the answers to endsOfLogs.
func logBetween(a []OffsetAnswer) PartitionLog {
	l := PartitionLog{Start: -1, End: -1, NewestMs: -1, Bytes: -1}
	first, behind, newest := a[0], a[1], a[2]
	switch {
	case first.Err != nil:
		l.Err = first.Err
	case behind.Err != nil:
		l.Err = behind.Err
	default:
		l.Start, l.End = first.Offset, behind.Offset
	}
	if newest.Err == nil {
		l.NewestMs = newest.TimestampMs
	}
	return l
}
