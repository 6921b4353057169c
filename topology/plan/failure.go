package plan

import (
	"context"
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Stage says what was being done with a record when it failed.
type Stage uint8

// The stages, in the order in which a record meets them.
const (
	StageDecode  Stage = iota // bytes of the input to key and value
	StageProcess              // the user's function
	StageEncode               // key and value to bytes of the output
	StageProduce              // the output topic refused the record
)

var stageNames = [...]string{"decode", "process", "encode", "produce"}

// String returns the stage's name, as in the header of a dead letter.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "unknown"
}

// Decision says what becomes of a record that failed. From a millisecond on its value is how long to wait
// before the record is tried again, in nanoseconds.
type Decision int64

// The decisions. Fail is the zero value: nothing is lost unless somebody says so.
const (
	// Fail stops the task. What was processed before is written and committed first.
	Fail Decision = iota
	// Skip drops the record at the node where it failed, counts it, and goes on.
	Skip
	// DeadLetter writes the record to the application's dead-letter topic and goes on. Where there is no
	// record to keep (a punctuation failed) it is Fail.
	DeadLetter
	// Retry is the Kind of what RetryAfter returns.
	Retry

	// Decisions is how many kinds there are.
	Decisions = int(Retry) + 1
)

// shortestRetry is the smallest Decision that is a time to wait.
const shortestRetry = Decision(time.Millisecond)

// RetryAfter tries the record again when wait is over, at least a millisecond, and then as often as the
// policy says so. What the record has sent and changed in stores before it failed is undone. The task goes on with
// nothing else of that input meanwhile, so that order is kept; other tasks are not held up. Where there is
// no record to try again (a punctuation failed) it is Fail.
func RetryAfter(wait time.Duration) Decision { return max(Decision(wait), shortestRetry) }

// Kind returns Fail, Skip, DeadLetter or Retry.
func (d Decision) Kind() Decision {
	if d >= shortestRetry {
		return Retry
	}
	return d
}

// Wait is how long to wait before the record is tried again, where Kind is Retry.
func (d Decision) Wait() time.Duration { return time.Duration(max(d, shortestRetry)) }

var decisionNames = [Decisions]string{"fail", "skip", "dead-letter", "retry"}

// String returns the name of the decision's kind.
func (d Decision) String() string {
	if k := d.Kind(); k >= 0 && int(k) < len(decisionNames) {
		return decisionNames[k]
	}
	return "unknown"
}

// RetryError is what Runtime.Refuse returns where the policy wants the record to be tried again.
type RetryError struct {
	After time.Duration
	Err   *RecordError
}

// Error says what failed and when it is tried again.
func (e *RetryError) Error() string { return fmt.Sprintf("%v; again after %s", e.Err, e.After) }

// Unwrap returns the error of the record.
func (e *RetryError) Unwrap() error { return e.Err }

// Always decides d for every error: OnError(topology.Skip.Always).
func (d Decision) Always(context.Context, *RecordError) Decision { return d }

// OnError decides what becomes of a record that failed. It may look at everything in the error, but keep none
// of it.
type OnError func(ctx context.Context, e *RecordError) Decision

// RecordError is one record that failed at one node. Its text names node, file:line and position, never the
// record's bytes; what Err says is up to who made it.
type RecordError struct {
	Stage Stage
	Node  *Node
	Task  string
	Err   error

	// The position of the input record; Topic is empty where a punctuation failed.
	Topic     string
	Partition record.Partition
	Offset    record.Offset

	// Record is the raw record: the one that was read, or at StageProduce the one that was written. It is nil
	// where a punctuation failed, and read-only and valid only until the policy returns.
	Record *record.Record
}

// Error says where the record failed and why.
func (e *RecordError) Error() string {
	at := "in a punctuation"
	if e.Topic != "" {
		at = fmt.Sprintf("record %s/%d@%d", e.Topic, e.Partition, e.Offset)
	}
	return fmt.Sprintf("task %s: %s at %s, %s: %v", e.Task, e.Stage, e.Node, at, e.Err)
}

// Unwrap returns the error of the stage.
func (e *RecordError) Unwrap() error { return e.Err }
