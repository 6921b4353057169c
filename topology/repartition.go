package topology

import (
	"github.com/millstream-io/millstream/topology/plan"
)

// repartitionSuffix makes the name of a repartition topic.
const repartitionSuffix = "-repartition"

// repartition is a topic between two sub-topologies while they are being built.
type repartition struct {
	*plan.Repartition
	sink, source *node
}

// Repartition writes the stream to an internal topic, "<app>-<name>-repartition", and reads it again: behind
// it, records with the same key are in the same task. Operators that need that do it by themselves where keys
// have changed; it is called to give a join partner another number of partitions, or to share one topic
// between operators. Null keys and values, headers and time pass; where a record came from does not.
// Option: Partitions.
func (s Stream[K, V]) Repartition(name string, opts ...Option) Stream[K, V] {
	must(s.stream != nil, "Repartition is called on a Stream that no source made")
	o := gather(opts)
	o.name = name
	return through(s, o)
}

// partitioned returns s with all records of a key in one task: s itself, or s behind a repartition topic that
// all who need it share. o names it.
func partitioned[K, V any](s Stream[K, V], o nodeOptions) Stream[K, V] {
	if !s.rekeyed {
		return s
	}
	if s.spread == nil {
		s.spread = through(s, o).stream
	} else if o.partitions > 0 {
		s.b.sharePartitions(s.spread.from, o.partitions)
	}
	return Stream[K, V]{s.spread}
}

// through makes a sink and a source with a topic between them.
func through[K, V any](s Stream[K, V], o nodeOptions) Stream[K, V] {
	r := s.b.repartition(o)
	t := Topic[K, V]{Name: r.Topic}
	t.Key = resolve(s.b, r.sink, "key", s.key)
	t.Value = resolve(s.b, r.sink, "value", s.value)
	sink(s, r.sink, t, nil)
	return Stream[K, V]{read(s.b, r.source, t)}
}

// repartition makes the nodes of a repartition topic.
func (b *Builder) repartition(o nodeOptions) *repartition {
	topic := b.app + "-" + o.name + repartitionSuffix
	end := func(kind string) *node {
		n := b.add(kind, nodeOptions{
			name: o.name + repartitionSuffix + "-" + kind, onError: o.onError, faults: o.faults, given: o.given,
		}, optPartitions)
		o.faults, o.given = nil, 0
		n.Topic, n.Internal = topic, true
		return n
	}
	r := &repartition{sink: end(kindSink), source: end(kindSource)}
	r.source.pure = true
	r.Repartition = &plan.Repartition{
		Topic: topic, Sink: r.sink.Node, Source: r.source.Node, Partitions: o.partitions,
	}
	if b.built {
		return r // add has noted it; what was built stays as it is
	}
	if err := plan.CheckTopicName(topic); err != nil {
		b.fault(r.sink.at, "repartition %q: %w", o.name, err)
	}
	for _, other := range b.internal {
		if other.Topic == topic {
			b.faults = append(b.faults, refused(r.sink.at, "repartition topic %s is taken by that of %s",
				topic, other.sink.at).WithHint("give one of the operators another name with topology.Named, "+
				"or call Repartition once and use its stream for both"))
		}
	}
	b.internal = append(b.internal, r)
	return r
}

// sharePartitions takes note of the number of partitions that one more user of a repartition topic wants.
func (b *Builder) sharePartitions(source *node, partitions int) {
	at := caller()
	for _, r := range b.internal {
		if r.source != source {
			continue
		}
		if r.Partitions > 0 && r.Partitions != partitions {
			b.fault(at, "repartition topic %s of %s is to have %d partitions already, not %d",
				r.Topic, r.sink.at, r.Partitions, partitions)
		}
		r.Partitions = partitions
	}
}
