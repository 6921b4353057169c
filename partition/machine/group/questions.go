package group

import (
	"maps"
	"slices"
)

// Load asks for everything that is stored of one group; answered by Stored.
type Load struct{ Group string }

// Stored is what the log knows of a group. Metadata is nil where it never had members; it is not to be
// changed. Positions are ascending by topic and partition.
type Stored struct {
	Metadata  *Metadata
	Positions []StoredPosition
}

// StoredPosition says that a position is stored, since when (milliseconds since 1970), and whether it is
// fenced by a generation: then it belongs to a task, and its group's coordinator leaves it alone.
type StoredPosition struct {
	TopicPartition
	TimeMs int64
	Fenced bool
}

// List asks for all groups of the partition; answered by a []Listed, ascending by name.
type List struct{}

// Listed is one group of a List.
type Listed struct {
	Group        string
	ProtocolType string // empty for a group that never had members
	Members      int    // when its metadata was stored
	Positions    int
}

// Aged asks for the groups without members that have positions from before BeforeMs, or nothing any more;
// answered by a []string, ascending, of at most Limit names.
type Aged struct {
	BeforeMs int64
	Limit    int
}

// TopicsRead asks which groups have positions in which topics, those of tasks left out; answered by a
// map[string][]string, groups by topic, ascending.
type TopicsRead struct{}

func (m *Machine) topicsRead() map[string][]string {
	read := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(m.groups)) {
		for p, v := range m.groups[name] {
			if of := read[p.Topic]; v.generation == NoGeneration && (len(of) == 0 || of[len(of)-1] != name) {
				read[p.Topic] = append(of, name)
			}
		}
	}
	return read
}

func (m *Machine) load(group string) Stored {
	s := Stored{Metadata: m.metadata[group]}
	rows := m.groups[group]
	for _, p := range slices.SortedFunc(maps.Keys(rows), compare) {
		v := rows[p]
		s.Positions = append(s.Positions, StoredPosition{p, v.timeMs, v.generation != NoGeneration})
	}
	return s
}

func (m *Machine) list() []Listed {
	all := make([]Listed, 0, len(m.groups)+len(m.metadata))
	for _, name := range m.names() {
		l := Listed{Group: name, Positions: len(m.groups[name])}
		if about := m.metadata[name]; about != nil {
			l.ProtocolType, l.Members = about.ProtocolType, len(about.Members)
		}
		all = append(all, l)
	}
	return all
}

// names returns the names of all groups, ascending.
func (m *Machine) names() []string {
	names := slices.AppendSeq(make([]string, 0, len(m.groups)+len(m.metadata)), maps.Keys(m.groups))
	names = slices.AppendSeq(names, maps.Keys(m.metadata))
	slices.Sort(names)
	return slices.Compact(names)
}

func (m *Machine) aged(q Aged) []string {
	var old []string
	for _, name := range m.names() {
		if len(old) >= q.Limit {
			break
		}
		about := m.metadata[name]
		if about != nil && (len(about.Members) > 0 || about.SinceMs >= q.BeforeMs) {
			continue
		}
		if len(m.groups[name]) == 0 || slices.ContainsFunc(slices.Collect(maps.Values(m.groups[name])), func(v value) bool {
			return v.generation == NoGeneration && v.timeMs < q.BeforeMs
		}) {
			old = append(old, name)
		}
	}
	return old
}
