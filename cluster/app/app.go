package app

import "github.com/millstream-io/millstream/proto/record"

// TaskState says what a task is doing.
type TaskState string

// The states of a task.
const (
	TaskStarting   TaskState = "starting"   // it takes over from its former life
	TaskRestoring  TaskState = "restoring"  // its stores come back from their changelogs
	TaskRunning    TaskState = "running"    // it processes records
	TaskPaused     TaskState = "paused"     // it takes no records; its stores can be read
	TaskRestarting TaskState = "restarting" // it has crashed, and begins again in a while
	TaskFailed     TaskState = "failed"     // it has crashed too often, or met an error that does not pass
	TaskStopped    TaskState = "stopped"    // it was told to
)

// The states of an application.
const (
	Running = "running"
	Paused  = "paused"
)

// Report is what a member tells of an application that it runs.
type Report struct {
	Name   string `json:"name"`
	Paused bool   `json:"paused"`
	Tasks  []Task `json:"tasks"` // by name; never null
}

// Task is one task. Topic, Partition and Offset name the record at which its last life ended with an error, where
// there was one.
type Task struct {
	Task      string           `json:"task"` // "<sub>_<partition>"
	State     TaskState        `json:"state"`
	Epoch     uint64           `json:"epoch"` // of its newest life
	Restarts  int              `json:"restarts"`
	Restoring []Restoring      `json:"restoring,omitempty"` // the stores that are not restored yet, by name
	Error     string           `json:"error,omitempty"`
	Topic     string           `json:"topic,omitempty"`
	Partition record.Partition `json:"partition"`
	Offset    record.Offset    `json:"offset"`
}

// Restoring is how far a store is restored: up to Next of what ends at End.
type Restoring struct {
	Store   string        `json:"store"`
	Next    record.Offset `json:"next"`
	End     record.Offset `json:"end"`
	Records int           `json:"records"`
}

// Listing is one application of a list.
type Listing struct {
	Name    string `json:"name"`
	State   string `json:"state"` // Running or Paused
	Tasks   int    `json:"tasks"`
	Running int    `json:"running"` // tasks that are running or paused
	Failed  int    `json:"failed"`
}

// Description is all that a member tells of an application that it runs.
type Description struct {
	Name        string       `json:"name"`
	State       string       `json:"state"`       // Running or Paused
	LagRecords  int64        `json:"lag_records"` // of all tasks
	Subs        []Sub        `json:"subtopologies"`
	Stores      []Store      `json:"stores"`
	Tasks       []TaskDetail `json:"tasks"`
	RowsCounted bool         `json:"rows_counted"`
}

// Sub is one sub-topology. Its lists are sorted and never null.
type Sub struct {
	ID      int      `json:"id"`
	Inputs  []string `json:"inputs"`  // topics
	Outputs []string `json:"outputs"` // topics that are known before a record comes
	Stores  []string `json:"stores"`
	Tasks   int      `json:"tasks"`
}

// Store is one store over all its tasks. Rows and Bytes, of keys and values, are those of running tasks, -1 where
// they were not counted.
type Store struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"` // key-value or window
	Sub         int    `json:"subtopology"`
	KeyFormat   string `json:"key_format"` // as serde.Format names it; "": not known
	ValueFormat string `json:"value_format"`
	InMemory    bool   `json:"in_memory"`
	Changelog   string `json:"changelog"`    // topic; "": none
	WindowMs    int64  `json:"window_ms"`    // size of its windows, 0: none
	RetentionMs int64  `json:"retention_ms"` // 0: for ever
	Rows        int64  `json:"rows"`
	Bytes       int64  `json:"bytes"`
}

// TaskDetail is a task with its positions.
type TaskDetail struct {
	Task
	LagRecords int64   `json:"lag_records"`
	StateBytes int64   `json:"state_bytes"` // that its stores take on the disk
	Inputs     []Input `json:"inputs"`      // by topic; never null
}

// Input is the position of a task in one topic.
type Input struct {
	Topic      string           `json:"topic"`
	Partition  record.Partition `json:"partition"`
	Committed  record.Offset    `json:"committed"` // -1: none yet
	End        record.Offset    `json:"end"`       // -1: not known
	LagRecords int64            `json:"lag_records"`
}

// Reset is what a reset of an application gives up. All lists are sorted and never null.
type Reset struct {
	App     string   `json:"app"`
	Done    bool     `json:"done"`    // false: it was only asked what would be given up
	Topics  []string `json:"topics"`  // repartition topics and changelogs
	States  []string `json:"states"`  // tasks whose rows are on the disk
	Offsets []Offset `json:"offsets"` // committed positions
}

// Offset is a committed position.
type Offset struct {
	Topic     string           `json:"topic"`
	Partition record.Partition `json:"partition"`
	Offset    record.Offset    `json:"offset"`
}
