package kafka

// FindCoordinator, version 0, advertised and refused: librdkafka takes a broker that does not advertise
// it for one that knows no lz4, and sends such batches uncompressed. There are no groups in this version,
// so that each request is answered UNSUPPORTED_VERSION, which clients do not try again.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/proto/fault"
)

func (c *conn) findCoordinator(k *call, body []byte) error {
	req := kmsg.NewPtrFindCoordinatorRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.ErrorCode, r.NodeID, r.Port = fault.UnsupportedVersion.Kafka(), noNode, -1
	k.answer = func(o *output) { o.message(r) }
	return nil
}
