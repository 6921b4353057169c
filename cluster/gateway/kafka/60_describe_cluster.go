package kafka

// DescribeCluster, versions 0 to 2, flexible from the first.
//
// v1 kind of endpoint: only brokers (1) are described, controllers (2) have no endpoint of their own · v2
// fenced members: none is listed.

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	endpointBrokers     int8 = 1
	endpointControllers int8 = 2
)

func (c *conn) describeCluster(k *call, body []byte) error {
	req := kmsg.NewPtrDescribeClusterRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	k.answer = func(o *output) { o.message(c.describedCluster(k, req)) }
	return nil
}

// describedCluster makes the answer.
func (c *conn) describedCluster(k *call, req *kmsg.DescribeClusterRequest) kmsg.Response {
	r := kmsg.NewPtrDescribeClusterResponse()
	table := c.s.port.Table()
	r.ClusterID = table.ClusterID
	r.ControllerID = noNode
	if k.version >= 1 {
		r.EndpointType = req.EndpointType
	}
	switch {
	case k.version >= 1 && req.EndpointType == endpointControllers:
		r.ErrorCode = wireMismatchedEndpointType
	case k.version >= 1 && req.EndpointType != endpointBrokers:
		r.ErrorCode = wireUnsupportedEndpoint
	}
	if r.ErrorCode != 0 {
		text := "only the brokers of the cluster are described; ask for endpoint type 1"
		r.ErrorMessage = &text
		return r
	}
	nodes := c.nodes(table)
	r.ControllerID = controllerID(c.s.port, nodes)
	for _, n := range nodes {
		b := kmsg.NewDescribeClusterResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = n.id, n.host, n.port, n.rack
		r.Brokers = append(r.Brokers, b)
	}
	if req.IncludeClusterAuthorizedOperations {
		r.ClusterAuthorizedOperations = clusterOperations
	}
	return r
}
