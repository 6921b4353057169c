package kafka

// FindCoordinator, versions 0 to 5.
//
// v0 knows groups only · v1 a type of key: 0 for groups; 1 for transactions, of which this version has none,
// is answered UNSUPPORTED_VERSION, which clients do not try again · v3 flexible · v4 several keys in one
// request · v5 a code of transactions. librdkafka takes a broker that does not advertise this key for one
// that knows no lz4. A key that stands twice is answered once.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/proto/fault"
)

const (
	findCoordinatorBatch      = 4
	coordinatorOfGroups  int8 = 0
)

func (c *conn) findCoordinator(k *call, body []byte) error {
	req := kmsg.NewPtrFindCoordinatorRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	var keys []string
	if k.version < findCoordinatorBatch {
		keys = []string{req.CoordinatorKey}
	} else {
		keys = once(req.CoordinatorKeys)
	}
	found := make([]broker.Coordinated, len(keys))
	k.answer = func(o *output) { o.message(c.foundCoordinators(k.version, keys, found)) }
	for i, key := range keys {
		if req.CoordinatorType != coordinatorOfGroups {
			found[i].Err = fault.New(fault.UnsupportedVersion, "no coordinator for keys of type %d", req.CoordinatorType)
			continue
		}
		k.owe()
		c.s.port.Coordinator(k.who, key, c.after(groupTimeoutMs), func(f broker.Coordinated) {
			found[i] = f
			k.done()
		})
	}
	return nil
}

// once leaves out what stands there a second time.
func once(names []string) []string {
	seen := make(map[string]bool, len(names))
	var out []string
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

func (c *conn) foundCoordinators(version int16, keys []string, found []broker.Coordinated) kmsg.Response {
	r := kmsg.NewPtrFindCoordinatorResponse()
	known := c.nodes(c.s.port.Table())
	for i, key := range keys {
		rc := kmsg.NewFindCoordinatorResponseCoordinator()
		rc.Key, rc.NodeID, rc.Port = key, noNode, -1
		err := found[i].Err
		if n, ok := findNode(known, int32(found[i].Member)); err == nil && ok {
			rc.NodeID, rc.Host, rc.Port = n.id, n.host, n.port
		} else if err == nil {
			err = fault.New(fault.CoordinatorNotAvailable, "member %d, which keeps %q, has no address", found[i].Member, key)
		}
		rc.ErrorCode, rc.ErrorMessage = kafkaCode(err), kafkaMessage(err)
		if version >= findCoordinatorBatch {
			r.Coordinators = append(r.Coordinators, rc)
			continue
		}
		r.ErrorCode, r.ErrorMessage, r.NodeID, r.Host, r.Port = rc.ErrorCode, rc.ErrorMessage, rc.NodeID, rc.Host, rc.Port
	}
	return r
}
