package cluster

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/plan"
)

// changelogGrace is how much longer a changelog keeps the rows of windows than the store itself: its ages are
// counted from the append, the store's in stream time.
const changelogGrace = 24 * time.Hour

// ensureInternal makes the topics that belong to an application, repartition topics and changelogs, with as many
// partitions as its tasks need. One that is there with another number is refused: its keys would be looked for
// in the wrong partitions.
func (m *Member) ensureInternal(ctx context.Context, g *plan.Graph) error {
	if len(g.Repartitions)+len(g.Stores) == 0 {
		return nil
	}
	table := m.broker.Table()
	counts, err := plan.Partitions(g, m.partitionsOf)
	if err != nil {
		return err
	}
	var missing []broker.NewTopic
	var faults []error
	add := func(topic, what string, configs map[string]*string) {
		want := counts[topic]
		switch t := table.Topics[topic]; {
		case t == nil:
			missing = append(missing, broker.NewTopic{
				Name: topic, Partitions: int32(want), Replicas: -1, Configs: configs,
			})
		case len(t.Partitions) != want:
			faults = append(faults, fault.New(fault.InvalidRequest,
				"topic %q, %s, has %d partitions and needs %d: the topics that the application reads have been changed",
				topic, what, len(t.Partitions), want).
				WithHint("reset the application, which deletes what it keeps, or give the topology another id"))
		}
	}
	for _, r := range g.Repartitions {
		add(r.Topic, "the repartition topic of "+r.Sink.String(), repartitionConfigs())
	}
	for _, s := range g.Stores {
		if s.Changelog != "" {
			add(s.Changelog, "the changelog of store "+s.Name, changelogConfigs(s))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	return m.createTopics(ctx, missing)
}

// partitionsOf returns how many partitions a topic has, 0 where it does not exist.
func (m *Member) partitionsOf(topic string) int {
	if t := m.broker.Table().Topics[topic]; t != nil {
		return len(t.Partitions)
	}
	return 0
}

// repartitionConfigs keep everything: the task that reads the topic deletes what it has committed.
func repartitionConfigs() map[string]*string {
	return configsOf(
		config.KeyCleanupPolicy, "delete",
		config.KeyRetentionMs, strconv.Itoa(config.KeepAll),
		config.KeyRetentionBytes, strconv.Itoa(config.KeepAll),
		config.KeyTimestampAfter, anyTime,
	)
}

// changelogConfigs keep the newest change of every row, and those of windows no longer than the windows live.
func changelogConfigs(s *plan.Store) map[string]*string {
	policy, retention := "compact", config.KeepAll
	if s.Kind == plan.StoreWindow && s.Retention > 0 {
		policy, retention = "compact,delete", int((s.Retention + changelogGrace).Milliseconds())
	}
	return configsOf(
		config.KeyCleanupPolicy, policy,
		config.KeyRetentionMs, strconv.Itoa(retention),
		config.KeyTimestampAfter, anyTime,
	)
}

// anyTime lets event times be what they are.
var anyTime = strconv.FormatInt(math.MaxInt64, 10)

func configsOf(pairs ...string) map[string]*string {
	configs := map[string]*string{}
	for i := 0; i < len(pairs); i += 2 {
		configs[pairs[i]] = &pairs[i+1]
	}
	return configs
}
