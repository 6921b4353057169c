package kafka

// LeaveGroup, versions 0 to 5.
//
// v3 several members in one request, where a static one may be named by its instance alone; before, the one
// member's error is the request's · v4 flexible · v5 a reason for each member, the first of which is noted.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
)

const leaveGroupBatch int16 = 3

func (c *conn) leaveGroup(k *call, body []byte) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	if k.version < leaveGroupBatch {
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
	}
	l := broker.LeaveGroup{Who: k.who, Group: req.Group, Deadline: c.after(groupTimeoutMs)}
	for _, m := range req.Members {
		l.Members = append(l.Members, identityOf(m.MemberID, m.InstanceID))
		if l.Reason == "" {
			l.Reason = orEmpty(m.Reason)
		}
	}
	r := kmsg.NewPtrLeaveGroupResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.LeaveGroup(l, func(errs []error, err error) {
		leftGroup(r, k.version, l.Leave, req, errs, err)
		k.done()
	})
	return nil
}

func leftGroup(r *kmsg.LeaveGroupResponse, version int16, l group.Leave, req *kmsg.LeaveGroupRequest, errs []error, err error) {
	r.ErrorCode = kafkaCode(err)
	if err != nil {
		return
	}
	if version < leaveGroupBatch {
		r.ErrorCode = kafkaCode(errs[0])
		return
	}
	for i := range l.Members {
		rm := kmsg.NewLeaveGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ErrorCode = req.Members[i].MemberID, req.Members[i].InstanceID, kafkaCode(errs[i])
		r.Members = append(r.Members, rm)
	}
}
