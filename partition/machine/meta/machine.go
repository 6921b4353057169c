package meta

import (
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Machine folds the commands of the metadata log into a placement.Table. It is the partition.Machine of the
// metadata replica and, like its replica, is used by one goroutine at a time.
type Machine struct {
	table *placement.Table
	// What was handed out, or is shared with a table that was: the next change of it makes a copy first.
	sharedTable, sharedTopics, sharedMembers, sharedApps bool

	changed bool // by the command at hand

	nextReplica record.ReplicaID
	nextTopic   uint64
	epochs      map[string]uint64 // last epoch by application, also of those without tasks
	// The producer of each task by application and task, also of tasks that have gone.
	producers map[string]map[string]placement.TaskProducer
}

// Read is the question for the newest table: Query answers it with a *placement.Table. Asked through the
// log's leader, the answer holds everything that was committed before the question.
type Read struct{}

// New returns the machine of an empty log.
func New() *Machine {
	return &Machine{
		table: &placement.Table{
			Topics:  map[string]*placement.Topic{},
			ByID:    map[record.TopicID]*placement.Topic{},
			Members: map[record.MemberID]*placement.Member{},
			Apps:    map[string]*placement.App{},
		},
		epochs:    map[string]uint64{},
		producers: map[string]map[string]placement.TaskProducer{},
	}
}

// Table returns the state as an immutable value. Calls without a change between them return the same pointer.
func (m *Machine) Table() *placement.Table {
	m.sharedTable, m.sharedTopics, m.sharedMembers, m.sharedApps = true, true, true, true
	return m.table
}

// Admit refuses what is no well-formed command. Errors: fault.InvalidRequest for records,
// fault.CorruptRecord, fault.UnsupportedVersion.
func (m *Machine) Admit(t state.EntryType, payload []byte) error {
	if t == state.EntryRecords {
		return fault.New(fault.InvalidRequest, "the metadata log takes commands, no records").
			WithHint("make, change and delete topics with the admin requests")
	}
	_, err := decode(payload)
	return err
}

// Apply takes one committed command. An error is a refusal (fault.TopicAlreadyExists, fault.UnknownTopicID,
// …) and leaves the state as it was. Entries without a command (the first of a term, changes of the
// membership) do nothing.
func (m *Machine) Apply(e state.Entry) error {
	if e.Type == state.EntryConf || len(e.Payload()) == 0 {
		return nil
	}
	must(e.Type == state.EntryControl, "entry %d is of type %d", e.Index, e.Type)
	c, err := decode(e.Payload())
	must(err == nil, "entry %d: %v", e.Index, err)
	m.changed = false
	if err := m.apply(c); err != nil {
		must(!m.changed, "entry %d was refused and changed the state", e.Index)
		return err
	}
	if m.changed {
		m.table.Version = e.Index
	}
	return nil
}

// Query answers Read with the newest *placement.Table.
func (m *Machine) Query(question any) any {
	_, ok := question.(Read)
	must(ok, "question of type %T", question)
	return m.Table()
}

// edit returns a table that may be written to; its maps may still be shared, see editTopics and its kin.
func (m *Machine) edit() *placement.Table {
	m.changed = true
	if m.sharedTable {
		t := *m.table
		m.table, m.sharedTable = &t, false
	}
	return m.table
}
