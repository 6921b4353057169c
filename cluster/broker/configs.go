package broker

import (
	"slices"
	"strconv"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// DescribeConfigs implements Port from the table in memory.
func (b *Broker) DescribeConfigs(_ Who, resources []ConfigResource) []ConfigDescription {
	out := make([]ConfigDescription, len(resources))
	for i, r := range resources {
		entries, err := b.describe(r)
		if r.Keys != nil {
			entries = slices.DeleteFunc(entries, func(e config.Entry) bool { return !slices.Contains(r.Keys, e.Key) })
		}
		out[i] = ConfigDescription{Resource: r, Entries: entries, Err: err}
	}
	return out
}

func (b *Broker) describe(r ConfigResource) ([]config.Entry, error) {
	switch r.Type {
	case ResourceTopic:
		t, err := b.topic(r.Name, record.TopicID{})
		if err != nil {
			return nil, err
		}
		return config.Describe(t.Config), nil
	case ResourceBroker:
		if r.Name != "" && r.Name != strconv.FormatUint(uint64(b.c.Self), 10) {
			return nil, fault.New(fault.InvalidRequest, "this member is %d, not %q", b.c.Self, r.Name).
				WithHint("ask the member whose configuration it is")
		}
		return b.c.MemberConfig(), nil
	}
	return nil, fault.New(fault.InvalidRequest, "resource type %d has no configuration here", r.Type).
		WithHint("describe a topic (2) or a broker (4)")
}
