package kafka

// JoinGroup, versions 0 to 9.
//
// The answer waits until the group's next generation begins; what the connection is asked meanwhile is read,
// and answered behind it. v0 has no rebalance timeout: the session's stands for it · v4 a new member is told
// its id first (MEMBER_ID_REQUIRED) and comes again with it · v5 static members · v6 flexible · v7 names the
// protocol type · v8 a reason, which is not looked at · v9 a leader may be told to skip the assignment.

import (
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
)

const (
	joinGroupRebalance int16 = 1
	joinGroupKnownID   int16 = 4
	joinGroupSkips     int16 = 9
	// joinGroupNullable is the first version whose protocol may be null.
	joinGroupNullable int16 = 7
)

func (c *conn) joinGroup(k *call, body []byte) error {
	req := kmsg.NewPtrJoinGroupRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	if k.version < joinGroupRebalance {
		req.RebalanceTimeoutMillis = req.SessionTimeoutMillis
	}
	j := broker.JoinGroup{Who: k.who, Group: req.Group, Join: group.Join{
		Who: identityOf(req.MemberID, req.InstanceID), ClientID: k.who.ClientID, ClientHost: "/" + hostOf(k.who.Remote),
		SessionMs: req.SessionTimeoutMillis, RebalanceMs: req.RebalanceTimeoutMillis, ProtocolType: req.ProtocolType,
		KnownID: k.version >= joinGroupKnownID, CanSkip: k.version >= joinGroupSkips,
	}}
	for _, p := range req.Protocols {
		j.Protocols = append(j.Protocols, group.Protocol{Name: p.Name, Metadata: kept(p.Metadata)})
	}
	r := kmsg.NewPtrJoinGroupResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.watch(k, c.s.port.JoinGroup(j, func(a group.Joined, err error) {
		joinedGroup(r, k.version, a, err)
		n := 0
		for _, m := range a.Members {
			n += elementBytes + len(m.Metadata)
		}
		k.force(n)
		k.done()
	}))
	return nil
}

func joinedGroup(r *kmsg.JoinGroupResponse, version int16, a group.Joined, err error) {
	r.ErrorCode, r.MemberID, r.Generation = kafkaCode(err), a.Member, a.Generation
	r.Members = []kmsg.JoinGroupResponseMember{}
	if version < joinGroupNullable {
		r.Protocol = kmsg.StringPtr("")
	}
	if err != nil {
		r.Generation = -1
		return
	}
	r.ProtocolType, r.Protocol, r.LeaderID = &a.ProtocolType, &a.Protocol, a.Leader
	r.SkipAssignment = a.SkipAssignment
	for _, m := range a.Members {
		rm := kmsg.NewJoinGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ProtocolMetadata = m.ID, orNull(m.Instance), m.Metadata
		r.Members = append(r.Members, rm)
	}
}

// kept copies bytes out of a request, whose buffer is used again.
func kept(b []byte) []byte { return append([]byte{}, b...) }

// hostOf is the address without its port, as Kafka's tools show it.
func hostOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}
