package task

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Ports carries out what a task wants. Every call returns at once; its function runs exactly once, on any
// goroutine, and does not block. Deadlines are the port's: a call that cannot be answered ends with a
// retryable fault.
type Ports interface {
	// Fence shuts out every earlier life of the task from its changelog partition, and says where that begins and
	// ends when nothing older can come any more. Errors: fault.ProducerFenced or fault.InvalidProducerEpoch
	// where a newer life of the task has begun.
	Fence(ID, Fence, func(Fenced))

	// Locate looks up the committed offsets and the ends of the input topics' partition.
	Locate(ID, Locate, func(Located))

	// Describe looks up how many partitions an output topic has, and makes the topic first where it is asked
	// to.
	Describe(ID, Describe, func(Described))

	// Fetch reads batches. Where there are none yet it waits for some as long as the port likes, then answers
	// with none.
	Fetch(ID, Fetch, func(Fetched))

	// Send appends a batch to an output partition and answers when it is acknowledged by acks=all. It tries
	// again by itself, idempotently: it may stamp producer and sequence into the batch. Errors are final.
	Send(ID, Send, func(Sent))

	// Commit stores offsets for the group named ID.App, with the epoch as generation. Errors:
	// fault.IllegalGeneration or fault.ProducerFenced where a newer life of the task has begun.
	Commit(ID, Commit, func(Committed))

	// Trim gives up the records of a repartition topic that everybody is done with. It has no answer: what does
	// not come off is asked for again with what follows.
	Trim(ID, Trim)
}

// Effects is what one Step wants done. Nothing depends on the order in which it is.
type Effects struct {
	Fence    []Fence
	Locate   *Locate
	Describe []Describe
	Fetch    []Fetch
	Send     []Send // at most one per output partition, and only when the one before has been answered
	Commit   *Commit
	Trim     []Trim

	// Wake is when the next Step is due if nothing happens before, by Tick; zero: never. It replaces the one
	// before.
	Wake time.Time

	// Stopped says that a graceful stop is complete: all outputs are acknowledged, all offsets committed, the
	// processors closed. No further Step is needed; bytes that still arrive must be released by the shell.
	Stopped bool
}

// Fence asks for the task's partition of a changelog before anything is read from it.
type Fence struct {
	Topic     string
	Partition record.Partition
	Epoch     record.Epoch // of this life of the task
}

// Trim names the first offset of a repartition topic that is still needed.
type Trim struct {
	Topic     string
	Partition record.Partition
	Before    record.Offset
}

// Locate asks for positions of one partition in several topics. It is asked for at the start, and again when
// an offset turns out to be out of range.
type Locate struct {
	Topics    []string // sorted
	Partition record.Partition
	First     bool // nothing has been asked for in this life of the task yet
}

// Describe asks for an output topic. Records wait for the answer. UnknownTopicOrPartition becomes an error of
// theirs after Config.DescribeWait; other retryable errors are tried again without end.
type Describe struct {
	Topic  string
	Create bool // make it with the cluster's defaults if it is not there: the dead-letter topic
}

// Fetch asks for whole batches from an offset on, about maxBytes of them but at least one.
type Fetch struct {
	Topic     string
	Partition record.Partition
	From      record.Offset
	MaxBytes  int
}

// Send is one batch for one output partition. The port owns Frame.
type Send struct {
	Seq       uint64 // names it in the answer
	Topic     string
	Partition record.Partition
	Frame     []byte // Room free bytes, then one whole batch
	Room      int
	Records   int
}

// Batch returns the batch without the room in front of it.
func (s Send) Batch() record.Batch { return record.Batch(s.Frame[s.Room:]) }

// Commit is the offsets at which the task would go on. It is asked for only when everything before has been
// acknowledged.
type Commit struct {
	Epoch   record.Epoch
	Offsets []Committable
}

// Committable is the position in one input partition.
type Committable struct {
	Topic     string
	Partition record.Partition
	Next      record.Offset // the first record that is not processed
	Note      string        // stored with the position, and comes back with it; not longer than 64 bytes
}

// Input is what a Step takes: Open, Fenced, Located, Described, Fetched, Sent, Committed, Tick, Pause or Stop.
type Input interface{ input() }

// Open is the first input of a task.
type Open struct{}

// Fenced answers Fence. An error that is retryable is tried again.
type Fenced struct {
	Topic string
	Start record.Offset // the oldest offset that is there
	End   record.Offset // the offset behind the newest record of any earlier life
	Err   error
}

// Located answers Locate. A topic that has no such partition is left out. An error that is retryable is tried
// again.
type Located struct {
	Positions []Position
	Err       error
}

// Position is what is known of one input partition.
type Position struct {
	Topic     string
	Committed record.Offset // NotCommitted: none
	Note      string        // that was stored with Committed
	Start     record.Offset // the oldest offset that is there
	End       record.Offset // the offset behind the newest visible record
}

// NotCommitted is the committed offset of a partition that has none.
const NotCommitted record.Offset = -1

// Described answers Describe. It may also come unasked, when a topic has got more partitions.
type Described struct {
	Topic      string
	Partitions int
	Err        error
}

// Fetched answers Fetch. The core takes Batches over and calls Release, if there is one, when it is done with
// them. Errors: fault.OffsetOutOfRange; retryable ones are tried again after a pause, others stop the task.
type Fetched struct {
	Topic   string
	Batches [][]byte      // each one or more whole batches, ascending
	End     record.Offset // the offset behind the newest visible record
	Release func()
	Err     error
}

// Sent answers Send.
type Sent struct {
	Seq  uint64
	Base record.Offset // of the batch's first record; NoBase where the port cannot tell
	Err  error
}

// NoBase is the offset of a batch that is stored, nobody knows where.
const NoBase record.Offset = -1

// Committed answers Commit. Retryable errors are tried again after a commit interval, others stop the task.
type Committed struct{ Err error }

// Tick says that the time of Wake has come. It may come at any other time too.
type Tick struct{}

// Pause has the task take no more records and run no punctuations, or go on with that. What it did before is sent
// and committed, and its rows can be read.
type Pause struct{ Paused bool }

// Stop asks for a graceful stop.
type Stop struct{}

func (Open) input()      {}
func (Fenced) input()    {}
func (Located) input()   {}
func (Described) input() {}
func (Fetched) input()   {}
func (Sent) input()      {}
func (Committed) input() {}
func (Tick) input()      {}
func (Pause) input()     {}
func (Stop) input()      {}

// Carry hands effects to the ports; answers go to deliver, once each, on any goroutine. Wake and Stopped are
// left to the caller.
func Carry(p Ports, id ID, e Effects, deliver func(Input)) {
	for _, f := range e.Fence {
		p.Fence(id, f, func(a Fenced) { deliver(a) })
	}
	if e.Locate != nil {
		p.Locate(id, *e.Locate, func(a Located) { deliver(a) })
	}
	for _, d := range e.Describe {
		p.Describe(id, d, func(a Described) { deliver(a) })
	}
	for _, f := range e.Fetch {
		p.Fetch(id, f, func(a Fetched) { deliver(a) })
	}
	for _, s := range e.Send {
		p.Send(id, s, func(a Sent) { deliver(a) })
	}
	if e.Commit != nil {
		p.Commit(id, *e.Commit, func(a Committed) { deliver(a) })
	}
	for _, t := range e.Trim {
		p.Trim(id, t)
	}
}
