package cluster

import (
	"fmt"

	"github.com/millstream-io/millstream/partition/placement"
)

// RelaxedTopic is a topic whose records are acknowledged before they are durable: a power cut may lose those of its
// last FlushMs milliseconds.
type RelaxedTopic struct {
	Topic   string
	FlushMs int64
}

// String says what the topic risks.
func (r RelaxedTopic) String() string {
	return fmt.Sprintf("topic %s is not durable when it acknowledges: a power cut may lose its last %d ms (flush.policy=interval)",
		r.Topic, r.FlushMs)
}

// Relaxed lists the relaxed topics of the cluster, by name.
func (i *Inspection) Relaxed() []RelaxedTopic { return relaxedOf(i.table) }

func relaxedOf(t *placement.Table) []RelaxedTopic {
	var all []RelaxedTopic
	for _, topic := range t.TopicsByName() {
		if ms := topic.Config.FlushMs; ms > 0 {
			all = append(all, RelaxedTopic{topic.Name, ms})
		}
	}
	return all
}
