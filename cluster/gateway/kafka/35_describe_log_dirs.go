package kafka

// DescribeLogDirs, versions 0 to 5.
//
// A member has one directory. Null topics ask for every partition that it has; of those that are named, the
// ones that it has not are left out, as with Kafka. No log lags behind its high watermark, and none is on its
// way to another directory. v2 flexible · v3 an error of the whole request · v4 size and usable bytes of the
// volume · v5 whether a directory is closed to new partitions: it never is.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/record"
)

// logDirsTimeoutMs bounds the request, which names no time.
const logDirsTimeoutMs = 30_000

func (c *conn) describeLogDirs(k *call, body []byte) error {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	var wanted []broker.PartitionName
	if req.Topics != nil {
		wanted = []broker.PartitionName{}
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			wanted = append(wanted, broker.PartitionName{Topic: t.Topic, Partition: record.Partition(p)})
		}
	}
	var dir broker.LogDir
	k.answer = func(o *output) { o.message(describedLogDir(dir)) }
	k.owe()
	c.s.port.DescribeLogDir(k.who, wanted, c.after(logDirsTimeoutMs), func(d broker.LogDir) {
		dir = d
		k.done()
	})
	return nil
}

// describedLogDir makes the answer. With an error it tells no sizes: a part of them would pass for all.
func describedLogDir(d broker.LogDir) kmsg.Response {
	r := kmsg.NewPtrDescribeLogDirsResponse()
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = d.Path, d.TotalBytes, d.UsableBytes
	dir.ErrorCode = kafkaCode(d.Err)
	dir.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}
	for _, size := range d.Partitions {
		if d.Err != nil {
			break
		}
		n := len(dir.Topics)
		if n == 0 || dir.Topics[n-1].Topic != size.Topic {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = size.Topic
			dir.Topics = append(dir.Topics, t)
			n++
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size = int32(size.Partition), size.Bytes
		dir.Topics[n-1].Partitions = append(dir.Topics[n-1].Partitions, p)
	}
	r.Dirs = append(r.Dirs, dir)
	return r
}
