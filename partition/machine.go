package partition

import "github.com/millstream-io/millstream/state"

// Machine is a deterministic state machine fed with the committed entries of a replica: the metadata, the
// committed offsets of groups. It is called only inside Step, so it needs no lock.
type Machine interface {
	// Admit looks at a command or batch before the leader proposes it and may refuse it. What is admitted may
	// still never be committed.
	Admit(t state.EntryType, payload []byte) error

	// Apply takes one committed entry, in order, exactly once per life; entries that only move the log start,
	// fence a producer or tell of compaction are left out, so are those of which compaction left no record, and what a restored
	// snapshot holds does not come again. An error is the answer of whoever proposed it, and leaves the state as
	// it was. The payload must not be kept without copying it.
	Apply(e state.Entry) error

	// Query answers a question of a type that the machine documents.
	Query(question any) any

	// Snapshot returns the whole state, encoded; Restore replaces it by one.
	Snapshot() []byte
	Restore(snapshot []byte) error
}
