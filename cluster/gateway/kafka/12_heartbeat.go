package kafka

// Heartbeat, versions 0 to 4.
//
// v3 static members · v4 flexible.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
)

func (c *conn) heartbeat(k *call, body []byte) error {
	req := kmsg.NewPtrHeartbeatRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	r := kmsg.NewPtrHeartbeatResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.Heartbeat(broker.Heartbeat{
		Who: k.who, Group: req.Group, Deadline: c.after(groupTimeoutMs),
		Heartbeat: group.Heartbeat{Who: identityOf(req.MemberID, req.InstanceID), Generation: req.Generation},
	}, func(err error) {
		r.ErrorCode = kafkaCode(err)
		k.done()
	})
	return nil
}
