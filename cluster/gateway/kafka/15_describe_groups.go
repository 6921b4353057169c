package kafka

// DescribeGroups, versions 0 to 6.
//
// A group that does not exist is "Dead". v3 operations, which are not told: there is no authorisation in
// this version · v4 static members · v5 flexible · v6 says GROUP_ID_NOT_FOUND of a dead one. A group that
// stands twice is answered once.

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/machine/group"
	"github.com/millstream-io/millstream/proto/fault"
)

const (
	describeGroupsNotFound int16 = 6
	// operationsUnknown says that nobody was asked what is allowed.
	operationsUnknown int32 = math.MinInt32
)

func (c *conn) describeGroups(k *call, body []byte) error {
	req := kmsg.NewPtrDescribeGroupsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	r := kmsg.NewPtrDescribeGroupsResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.DescribeGroups(k.who, once(req.Groups), c.after(groupTimeoutMs), func(list []broker.DescribedGroup) {
		n := 0
		for i := range list {
			for _, m := range list[i].Members {
				n += elementBytes + len(m.Metadata) + len(m.Assignment)
			}
			r.Groups = append(r.Groups, describedGroup(k.version, &list[i]))
		}
		k.force(n)
		k.done()
	})
	return nil
}

func describedGroup(version int16, d *broker.DescribedGroup) kmsg.DescribeGroupsResponseGroup {
	rg := kmsg.NewDescribeGroupsResponseGroup()
	rg.Group, rg.AuthorizedOperations = d.Name, operationsUnknown
	err := d.Err
	if err == nil && d.State == group.Dead && version >= describeGroupsNotFound {
		err = fault.New(fault.GroupIDNotFound, "group %q does not exist", d.Name)
	}
	rg.ErrorCode, rg.ErrorMessage = kafkaCode(err), kafkaMessage(err)
	rg.Members = []kmsg.DescribeGroupsResponseGroupMember{}
	if d.Err != nil {
		return rg
	}
	rg.State, rg.ProtocolType, rg.Protocol = d.State.String(), d.ProtocolType, d.Protocol
	for _, m := range d.Members {
		rm := kmsg.NewDescribeGroupsResponseGroupMember()
		rm.MemberID, rm.InstanceID, rm.ClientID, rm.ClientHost = m.ID, orNull(m.Instance), m.ClientID, m.ClientHost
		rm.ProtocolMetadata, rm.MemberAssignment = kept(m.Metadata), kept(m.Assignment)
		rg.Members = append(rg.Members, rm)
	}
	return rg
}
