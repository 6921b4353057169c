package meta

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// entry makes a committed entry of a command.
func entry(index uint64, c Command) state.Entry {
	return state.Entry{Index: index, Term: 1, Type: state.EntryControl, Frame: c.Frame()}
}

// script makes n commands that mean something together: most are taken, some are refused. Decisions are
// made against a table that may be several commands old, as those of two controllers would be.
func script(seed uint64, n int) []state.Entry {
	rng := rand.New(rand.NewPCG(seed, 1))
	m, stale := New(), (*placement.Table)(nil)
	var log []state.Entry
	add := func(c Command) {
		log = append(log, entry(uint64(10+2*len(log)), c))
		_ = m.Apply(log[len(log)-1]) // a refusal is part of the script
	}
	add(initCluster("cluster-"+strconv.FormatUint(seed, 10), record.ReplicaID(1+rng.IntN(5))))
	add(registerMember(1, "127.0.0.1:9092", ""))
	for len(log) < n {
		if stale == nil || rng.IntN(3) == 0 {
			stale = m.Table()
		}
		add(anyCommand(rng, stale))
	}
	return log
}

func anyCommand(rng *rand.Rand, t *placement.Table) Command {
	member := func() record.MemberID { return record.MemberID(1 + rng.IntN(4)) }
	name := "t" + strconv.Itoa(rng.IntN(8))
	plan := func(n int) [][]record.MemberID {
		p := make([][]record.MemberID, n)
		for i := range p {
			p[i] = []record.MemberID{member()}
		}
		return p
	}
	switch rng.IntN(11) {
	case 0:
		return registerMember(member(), fmt.Sprintf("host-%d:9092", rng.IntN(3)), "rack")
	case 1, 2, 3:
		settings := map[string]string{"max.message.bytes": strconv.Itoa(2048 + rng.IntN(9)), "x": "y"}
		return createTopic(name, rng.IntN(4) == 0, settings, plan(1+rng.IntN(3)))
	case 4:
		if topic, ok := t.Topic(name); ok {
			return deleteTopic(topic.ID)
		}
		return deleteTopic(record.TopicID{1, 2, 3})
	case 5:
		if topic, ok := t.Topic(name); ok {
			return createPartitions(topic.ID, len(topic.Partitions), plan(1+rng.IntN(2)))
		}
		return createPartitions(record.TopicID{9}, 1, plan(1))
	case 6:
		return allocateProducers(t.NextProducer, int32(1+rng.IntN(ProducerBlock)))
	case 7:
		app, tasks := "app"+strconv.Itoa(rng.IntN(3)), map[string]record.MemberID{}
		for range 1 + rng.IntN(3) {
			tasks["0_"+strconv.Itoa(rng.IntN(4))] = member()
		}
		return placeTasks(app, tasks)
	case 8, 9:
		if topic, ok := t.Topic(name); ok {
			return alterTopic(topic.ID, anyChange(rng))
		}
		return alterTopic(record.TopicID{3}, anyChange(rng))
	default:
		var tasks []string
		if rng.IntN(2) == 0 {
			tasks = []string{"0_0", "0_1"}
		}
		return removeTasks("app"+strconv.Itoa(rng.IntN(3)), tasks)
	}
}

// anyChange sets and deletes keys, some of which no topic of the script has.
func anyChange(rng *rand.Rand) config.Change {
	c := config.Change{Replace: rng.IntN(4) == 0, Set: map[string]string{}}
	for i, key := range []string{"max.message.bytes", "retention.ms", "x", "z"} {
		switch rng.IntN(4) {
		case 0:
			c.Set[key] = strconv.Itoa(1000*i + rng.IntN(3))
		case 1:
			c.Delete = append(c.Delete, key)
		}
	}
	return c
}

// replay folds entries from an empty machine.
func replay(entries []state.Entry) (m *Machine, refused int) {
	m = New()
	for _, e := range entries {
		if m.Apply(e) != nil {
			refused++
		}
	}
	return m, refused
}
