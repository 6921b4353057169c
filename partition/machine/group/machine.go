package group

import (
	"cmp"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// maxBatchBytes bounds what a compressed batch of rows may take in memory.
const maxBatchBytes = 16 << 20

// Machine folds the batches of one partition of __consumer_offsets into the positions of its groups. It is
// the partition.Machine of that replica and, like it, is used by one goroutine at a time.
type Machine struct {
	groups   map[string]map[TopicPartition]value
	metadata map[string]*Metadata // each is never changed
	// Generations that were admitted here and wait for their commit, where they are above the committed
	// one. What is admitted and never committed stays: its owner exists, and an older one must not pass it.
	pending map[string]map[TopicPartition]int32
	reader  record.Reader
}

// Question asks for the positions of a group: those named, or all where Partitions is nil.
type Question struct {
	Group      string
	Partitions []TopicPartition
}

// Committed is a position as it was committed.
type Committed struct {
	Position
	Generation int32
	TimeMs     int64
}

// Answer holds the positions that exist, ascending by topic and partition. A group that never committed has
// none.
type Answer []Committed

// New returns the machine of an empty partition.
func New() *Machine {
	return &Machine{
		groups:   map[string]map[TopicPartition]value{},
		metadata: map[string]*Metadata{},
		pending:  map[string]map[TopicPartition]int32{},
	}
}

// row is one decoded record of a batch.
type row struct {
	key
	value
	about   *Metadata // of a metadata key
	deletes bool
}

// Admit refuses what is no commit and what comes from an older generation. Errors: fault.IllegalGeneration,
// fault.InvalidRequest for anything but records of positions, fault.CorruptRecord.
func (m *Machine) Admit(t state.EntryType, payload []byte) error {
	if t != state.EntryRecords {
		return fault.New(fault.InvalidRequest, "the log of committed offsets takes records, no commands")
	}
	rows, err := m.rows(payload)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fault.New(fault.CorruptRecord, "a batch of committed offsets is empty")
	}
	for _, r := range rows {
		if !r.known {
			return fault.New(fault.InvalidRequest, "a record is no committed offset").
				WithHint("topic __consumer_offsets is internal: commit offsets instead")
		}
		if r.ofGroup {
			continue // written by the group's coordinator alone, whose term the replica checks
		}
		if newest := m.generation(r.key); r.generation < newest {
			return fault.New(fault.IllegalGeneration,
				"group %s, %s/%d: generation %d is older than %d", r.group, r.Topic,
				r.Partition, r.generation, newest).WithHint("another owner has taken over: stop")
		}
	}
	for _, r := range rows {
		if !r.ofGroup && r.generation > m.generation(r.key) {
			within(m.pending, r.group)[r.TopicPartition] = r.generation
		}
	}
	return nil
}

// Apply takes one committed entry of records; others do nothing. Rows of kinds that this version does not
// have are left alone, and so is a row of a lower generation than the committed one: Admit lets none in,
// and here is where it would count. It never returns an error.
func (m *Machine) Apply(e state.Entry) error {
	if e.Type != state.EntryRecords {
		return nil
	}
	rows, err := m.rows(e.Payload())
	must(err == nil, "entry %d: %v", e.Index, err)
	for _, r := range rows {
		if r.known {
			m.applyRow(r)
		}
	}
	return nil
}

// Query answers a Question with an Answer of its own, Load with Stored, List with a []Listed, Aged with a
// []string and TopicsRead with a map[string][]string.
func (m *Machine) Query(question any) any {
	switch q := question.(type) {
	case Question:
		return m.positions(q)
	case Load:
		return m.load(q.Group)
	case List:
		return m.list()
	case Aged:
		return m.aged(q)
	case TopicsRead:
		return m.topicsRead()
	}
	must(false, "question of type %T", question)
	return nil
}

func (m *Machine) positions(q Question) Answer {
	rows := m.groups[q.Group]
	if q.Partitions == nil {
		q.Partitions = slices.Collect(maps.Keys(rows))
	}
	answer := make(Answer, 0, len(q.Partitions))
	for _, p := range q.Partitions {
		if v, ok := rows[p]; ok {
			answer = append(answer, Committed{
				Position: Position{
					TopicPartition: p, Offset: v.offset, LeaderEpoch: v.leaderEpoch, Metadata: v.metadata,
				},
				Generation: v.generation, TimeMs: v.timeMs,
			})
		}
	}
	slices.SortFunc(answer, func(a, b Committed) int { return compare(a.TopicPartition, b.TopicPartition) })
	return answer
}

func (m *Machine) applyRow(r row) {
	if r.ofGroup {
		if r.deletes {
			delete(m.metadata, r.group)
		} else {
			m.metadata[r.group] = r.about
		}
		return
	}
	was, ok := m.groups[r.group][r.TopicPartition]
	if ok && r.generation < was.generation {
		return
	}
	if r.deletes {
		drop(m.groups, r.group, r.TopicPartition)
	} else {
		within(m.groups, r.group)[r.TopicPartition] = r.value
	}
	if g, ok := m.pending[r.group][r.TopicPartition]; ok && g <= r.generation {
		drop(m.pending, r.group, r.TopicPartition)
	}
}

// generation is the highest that was committed or admitted for a key.
func (m *Machine) generation(k key) int32 {
	newest := NoGeneration
	if v, ok := m.groups[k.group][k.TopicPartition]; ok {
		newest = v.generation
	}
	if g, ok := m.pending[k.group][k.TopicPartition]; ok {
		newest = max(newest, g)
	}
	return newest
}

// rows decodes all batches of a payload, of which log compaction may have left empty ones. Nothing that it
// returns aliases the payload.
func (m *Machine) rows(payload []byte) ([]row, error) {
	var rows []row
	for len(payload) > 0 {
		batch, rest, err := record.Next(payload)
		if err != nil {
			return nil, err
		}
		if rows, err = m.appendRows(rows, batch); err != nil {
			return nil, err
		}
		payload = rest
	}
	return rows, nil
}

func (m *Machine) appendRows(rows []row, batch record.Batch) ([]row, error) {
	if err := m.reader.Open(batch, maxBatchBytes); err != nil {
		return nil, err
	}
	var rec record.Record
	for m.reader.Next(&rec) {
		r := row{deletes: rec.Value == nil, value: value{generation: NoGeneration}}
		var err error
		if r.key, err = decodeKey(rec.Key); err != nil {
			return nil, err
		}
		if r.known && !r.deletes && r.ofGroup {
			if r.about, err = decodeMetadata(rec.Value); err != nil {
				return nil, err
			}
		}
		if r.known && !r.deletes && !r.ofGroup {
			if r.value, err = decodeValue(rec.Value); err != nil {
				return nil, err
			}
		}
		rows = append(rows, r)
	}
	return rows, m.reader.Err()
}

// within returns the inner map of a group, making it where there is none.
func within[V any](m map[string]map[TopicPartition]V, group string) map[TopicPartition]V {
	inner, ok := m[group]
	if !ok {
		inner = map[TopicPartition]V{}
		m[group] = inner
	}
	return inner
}

// drop removes an entry, and the group with its last one.
func drop[V any](m map[string]map[TopicPartition]V, group string, p TopicPartition) {
	delete(m[group], p)
	if len(m[group]) == 0 {
		delete(m, group)
	}
}

func compare(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}
