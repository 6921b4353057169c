package kafka

// SyncGroup, versions 0 to 5.
//
// The answer waits until the leader's assignments are in the log. v3 static members · v4 flexible · v5 names
// the protocol type and the protocol, which must be the generation's.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
)

func (c *conn) syncGroup(k *call, body []byte) error {
	req := kmsg.NewPtrSyncGroupRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	s := broker.SyncGroup{Who: k.who, Group: req.Group, Sync: group.Sync{
		Who: identityOf(req.MemberID, req.InstanceID), Generation: req.Generation,
		ProtocolType: orEmpty(req.ProtocolType), Protocol: orEmpty(req.Protocol),
	}}
	for _, a := range req.GroupAssignment {
		s.Assignments = append(s.Assignments, group.Assignment{Member: a.MemberID, Bytes: kept(a.MemberAssignment)})
	}
	r := kmsg.NewPtrSyncGroupResponse()
	r.MemberAssignment = []byte{}
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.watch(k, c.s.port.SyncGroup(s, func(a group.Synced, err error) {
		if r.ErrorCode = kafkaCode(err); err == nil {
			r.ProtocolType, r.Protocol = &a.ProtocolType, &a.Protocol
			r.MemberAssignment = append(r.MemberAssignment, a.Assignment...)
			k.force(len(a.Assignment))
		}
		k.done()
	}))
	return nil
}
