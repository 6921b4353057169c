package broker

import (
	"slices"
	"strconv"
	"time"

	"github.com/millstream-io/millstream/actors/controller"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/machine/meta"
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
	return nil, noConfig(r.Type)
}

// AlterConfigs implements Port. Only topics have something that can change: a member's configuration is read
// when it starts.
func (b *Broker) AlterConfigs(_ Who, a []AlterConfig, validateOnly bool, deadline time.Time,
	done func([]AlteredConfig)) {
	out := make([]AlteredConfig, len(a))
	m := controller.AlterTopics{ValidateOnly: validateOnly, Deadline: deadline}
	var at []int // where the answers of m go
	for i, r := range a {
		out[i] = AlteredConfig{Type: r.Type, Name: r.Name}
		if out[i].Err = alterable(r); out[i].Err == nil {
			m.Topics = append(m.Topics, meta.TopicChange{Topic: r.Name, Ops: r.Ops, Replace: r.Replace})
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		done(out)
		return
	}
	ask(b, deadline, m, func(altered controller.TopicsAltered, err error) {
		for n, i := range at {
			if out[i].Err = err; err == nil {
				out[i].Err = altered.Errs[n]
			}
		}
		done(out)
	})
}

// alterable refuses what is no topic.
func alterable(r AlterConfig) error {
	switch r.Type {
	case ResourceTopic:
		return nil
	case ResourceBroker:
		return fault.New(fault.InvalidRequest, "the configuration of a member cannot change while it runs").
			WithHint("change its file, environment or flags, and restart it")
	}
	return noConfig(r.Type)
}

func noConfig(t ResourceType) error {
	return fault.New(fault.InvalidRequest, "resource type %d has no configuration here", t).
		WithHint("name a topic (2) or a broker (4)")
}
