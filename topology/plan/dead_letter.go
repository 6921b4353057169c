package plan

// Headers that a dead letter has behind those of the record itself. Values are text. The last three are left
// out where a punctuation made the record.
const (
	HeaderError     = "millstream-error"     // what went wrong
	HeaderStage     = "millstream-stage"     // decode, process, encode or produce
	HeaderNode      = "millstream-node"      // name of the node
	HeaderPlace     = "millstream-place"     // file:line of the node
	HeaderTask      = "millstream-task"      // id of the task
	HeaderTopic     = "millstream-topic"     // where the input record came from
	HeaderPartition = "millstream-partition" // its partition, decimal
	HeaderOffset    = "millstream-offset"    // its offset, decimal
)
