package kafka

// InitProducerId, versions 0 to 5.
//
// v2 flexible · v3 the producer says what id and epoch it has, to go on after an error · v4
// PRODUCER_FENCED, which is INVALID_PRODUCER_EPOCH to older clients · v5 a code of transactions. A
// transactional id goes to the port, which refuses it as long as there are no transactions.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

const (
	initProducerFenced int16 = 4
	// initProducerTimeoutMs bounds a request that names no time.
	initProducerTimeoutMs = 30_000
)

func (c *conn) initProducerID(k *call, body []byte) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	r := kmsg.NewPtrInitProducerIDResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.InitProducer(broker.InitProducer{
		Who: k.who, TransactionalID: req.TransactionalID, ID: record.ProducerID(req.ProducerID),
		Epoch: record.ProducerEpoch(req.ProducerEpoch), Deadline: c.after(initProducerTimeoutMs),
	}, func(p broker.InitedProducer) {
		code := fault.CodeOf(p.Err)
		if code == fault.ProducerFenced && k.version < initProducerFenced {
			code = fault.InvalidProducerEpoch
		}
		r.ErrorCode, r.ProducerID, r.ProducerEpoch = code.Kafka(), int64(p.ID), int16(p.Epoch)
		if p.Err != nil {
			r.ProducerID, r.ProducerEpoch = int64(record.NoProducer), -1
		}
		k.done()
	})
	return nil
}
