package kafka

// DeleteGroups, versions 0 to 3.
//
// v2 flexible · v3 the reason in words. A group that stands twice is answered once.

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (c *conn) deleteGroups(k *call, body []byte) error {
	req := kmsg.NewPtrDeleteGroupsRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	names := once(req.Groups)
	r := kmsg.NewPtrDeleteGroupsResponse()
	k.answer = func(o *output) { o.message(r) }
	k.owe()
	c.s.port.DeleteGroups(k.who, names, c.after(groupTimeoutMs), func(errs []error) {
		for i, name := range names {
			rg := kmsg.NewDeleteGroupsResponseGroup()
			rg.Group, rg.ErrorCode, rg.ErrorMessage = name, kafkaCode(errs[i]), kafkaMessage(errs[i])
			r.Groups = append(r.Groups, rg)
		}
		k.done()
	})
	return nil
}
