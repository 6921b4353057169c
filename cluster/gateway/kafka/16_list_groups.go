package kafka

// ListGroups, versions 0 to 5.
//
// The groups that this member decides for. v3 flexible · v4 states, to be told and to choose by · v5 types,
// of which there is "classic" only.

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
)

const classicGroup = "classic"

func (c *conn) listGroups(k *call, body []byte) error {
	req := kmsg.NewPtrListGroupsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	r := kmsg.NewPtrListGroupsResponse()
	r.Groups = []kmsg.ListGroupsResponseGroup{}
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.ListGroups(k.who, c.after(groupTimeoutMs), func(list []broker.ListedGroup, err error) {
		r.ErrorCode = kafkaCode(err)
		for _, g := range list {
			if !among(req.StatesFilter, g.State.String()) || !among(req.TypesFilter, classicGroup) {
				continue
			}
			rg := kmsg.NewListGroupsResponseGroup()
			rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = g.Name, g.ProtocolType, g.State.String(), classicGroup
			r.Groups = append(r.Groups, rg)
		}
		k.force(len(r.Groups) * elementBytes)
		k.done()
	})
	return nil
}

// among reports whether a filter lets name pass, whatever its case; an empty one does.
func among(filter []string, name string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, name) })
}
