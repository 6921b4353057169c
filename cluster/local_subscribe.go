package cluster

import (
	"context"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
)

// Subscribe implements client.Transport.
func (l local) Subscribe(context.Context, client.SubscribeRequest) (client.Subscription, error) {
	return nil, fault.New(fault.UnsupportedVersion, "this member keeps no memberships of groups").
		WithHint("join the group over the Kafka door")
}
