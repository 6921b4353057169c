package plan

import (
	"context"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Runtime is what a task gives to the operators that it runs. Operators call it from within Instance and
// Chain calls only.
type Runtime interface {
	// Context ends when the task is told to stop at once; user code that waits gives up then.
	Context() context.Context

	// Task is the task's id, such as "app/0_2".
	Task() string

	// Partition is the input partition of the task, the same number for each of its source topics.
	Partition() record.Partition

	// Now is the time of the step that runs.
	Now() time.Time

	// Send writes r to a topic; key decides the partition. Everything is copied before it returns. An error
	// ends the task.
	Send(n *Node, topic string, r *record.Record) error

	// Refuse tells that the record which is being processed failed at n, and applies n's policy. nil means that
	// it has been dealt with: go on with the next one. An error ends the task, or is a *RetryError; operators
	// return either as it is.
	Refuse(s Stage, n *Node, err error) error

	// Rows returns the rows of a store of the task's sub-topology; s is one of Sub.Stores. It may be called
	// before the rows are restored; what it returns is used from Instance.Init on.
	Rows(s *Store) (Rows, error)

	// CountLate tells that n took a record no more, because stream time had passed its window and the grace.
	CountLate(n *Node)

	// CountSkipped tells that n passed over a record that it has no use for, such as one without a key. why is
	// a constant of few words.
	CountSkipped(n *Node, why string)
}

// Chain runs everything that hangs on one source.
type Chain interface {
	// Process takes one record of the source's topic. It is read-only and valid until Process returns. An error
	// ends the task; the record then counts as not processed. A *RetryError ends nothing: what the record has
	// changed in Rows and sent is to be undone, and the same record given again after the time that it names.
	Process(r *record.Record) error
}

// Timed is a Chain whose records take their time from what they hold.
type Timed interface {
	Chain

	// EventTime is the time that Process will give to a record of the source's topic, in milliseconds since 1970. It
	// is the record's own timestamp where the record cannot be decoded. The record is read-only, and valid until
	// EventTime returns.
	EventTime(r *record.Record) int64
}

// Instance is a sub-topology as one task runs it. One goroutine at a time.
type Instance interface {
	// Init starts the processors, once, before the first record.
	Init() error

	// Chains returns one chain per source, in the order of Sub.Sources.
	Chains() []Chain

	// Punctuate runs the wall-clock schedules that are due at now.
	Punctuate(now time.Time) error

	// NextPunctuation is when Punctuate has something to do; the zero time: never.
	NextPunctuation() time.Time

	// StreamTime is the highest event time that the instance has seen; zero before the first record.
	StreamTime() time.Time

	// SetStreamTime moves stream time on, before Init: to where an earlier life of the task was.
	SetStreamTime(t time.Time)

	// Close ends the processors. It is idempotent, and fine without Init.
	Close() error
}
