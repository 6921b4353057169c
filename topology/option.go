package topology

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/topology/plan"
)

// Decision says what becomes of a record that failed: Fail, Skip, DeadLetter or what RetryAfter returns.
type Decision = plan.Decision

// RecordError is one record that failed at one node.
type RecordError = plan.RecordError

// Stage says what was being done with a record when it failed.
type Stage = plan.Stage

// ErrorPolicy decides what becomes of a record that failed.
type ErrorPolicy = plan.OnError

// The decisions of an error policy. Without a policy it is Fail.
const (
	Fail       = plan.Fail       // stop the task, after what was processed before is written and committed
	Skip       = plan.Skip       // drop the record, count it, go on
	DeadLetter = plan.DeadLetter // write the raw record to the dead-letter topic, go on
)

// RetryAfter is the decision to try the record again when wait is over, at least a millisecond, and then as
// often as the policy says so. What the record has written and changed in stores is undone, not what a
// processor keeps elsewhere; nothing else of that input
// is processed meanwhile, so that order is kept, and other tasks are not held up. Where there is no record
// to try again (a punctuation failed) it is Fail.
func RetryAfter(wait time.Duration) Decision { return plan.RetryAfter(wait) }

// The stages at which a record can fail.
const (
	StageDecode  = plan.StageDecode
	StageProcess = plan.StageProcess
	StageEncode  = plan.StageEncode
	StageProduce = plan.StageProduce
)

// BuilderOption changes a whole topology.
type BuilderOption interface{ applyBuilder(*Builder) }

// Option changes one node.
type Option interface{ applyNode(*nodeOptions) }

// SourceOption changes a source. Every Option is one.
type SourceOption interface{ applySource(*nodeOptions) }

// NodeOption can be given to every node, sources too.
type NodeOption interface {
	Option
	SourceOption
}

// PolicyOption is what OnError returns: it can be given to a node, to a source, or to NewBuilder.
type PolicyOption interface {
	NodeOption
	BuilderOption
}

type nodeOptions struct {
	name    string
	onError plan.OnError
	start   plan.Start
	started bool // start was given
	faults  []string

	given      special // which of these were
	emitFinal  bool
	partitions int
	uses       []StoreHandle
	lateLeft   any // *Stream[K, V] to fill in
	lateRight  any
}

// special is options that only some operators know.
type special uint8

const (
	optEmitFinal special = 1 << iota
	optPartitions
	optUsing
	optLate
)

var specialNames = map[special]string{
	optEmitFinal: "EmitFinal", optPartitions: "Partitions", optUsing: "Using",
	optLate: "LateLeft or LateRight",
}

func specialOption(s special, f func(*nodeOptions)) Option {
	return onlyNode(func(o *nodeOptions) {
		o.given |= s
		f(o)
	})
}

// onlyNode is an option that sources do not take.
type onlyNode func(*nodeOptions)

func (f onlyNode) applyNode(o *nodeOptions) { f(o) }

// EmitFinal lets a windowed operator give out one result for each window and key, when the window is over:
// when stream time has passed its end and the grace. Without it every change is given out.
func EmitFinal() Option {
	return specialOption(optEmitFinal, func(o *nodeOptions) { o.emitFinal = true })
}

// Partitions says how many partitions a repartition topic is to have. It can be given to Repartition and to
// the operators that begin a group.
func Partitions(n int) Option {
	return specialOption(optPartitions, func(o *nodeOptions) {
		if o.partitions = n; n < 1 {
			o.faults = append(o.faults, fmt.Sprintf("%d partitions are asked for", n))
		}
	})
}

// Using connects a processor to stores, which it can Open then. A store that no operator keeps belongs to the
// processors that use it. All who use one store run in the same task.
func Using(stores ...StoreHandle) Option {
	return specialOption(optUsing, func(o *nodeOptions) { o.uses = append(o.uses, stores...) })
}

// LateLeft sets into to a stream of the left records that come too late for a join of streams.
func LateLeft[K, V any](into *Stream[K, V]) Option {
	return specialOption(optLate, func(o *nodeOptions) { o.lateLeft = into })
}

// LateRight is LateLeft for the right records.
func LateRight[K, V any](into *Stream[K, V]) Option {
	return specialOption(optLate, func(o *nodeOptions) { o.lateRight = into })
}

type nodeOption func(*nodeOptions)

func (f nodeOption) applyNode(o *nodeOptions)   { f(o) }
func (f nodeOption) applySource(o *nodeOptions) { f(o) }

type sourceOption func(*nodeOptions)

func (f sourceOption) applySource(o *nodeOptions) { f(o) }

type builderOption func(*Builder)

func (f builderOption) applyBuilder(b *Builder) { f(b) }

// Named gives a node its name, which is unique in the topology; otherwise it is its kind and number.
func Named(name string) NodeOption {
	return nodeOption(func(o *nodeOptions) {
		if o.name = name; name == "" {
			o.faults = append(o.faults, "Named has an empty name")
		}
	})
}

// FromEarliest lets a task that has no committed offset begin at the oldest record. That is also what happens
// without an option.
func FromEarliest() SourceOption { return startAt(plan.StartEarliest) }

// FromLatest lets a task that has no committed offset begin behind the newest record.
func FromLatest() SourceOption { return startAt(plan.StartLatest) }

func startAt(s plan.Start) SourceOption {
	return sourceOption(func(o *nodeOptions) {
		if o.started && o.start != s {
			o.faults = append(o.faults, "source starts both at the earliest and at the latest record")
		}
		o.start, o.started = s, true
	})
}

// OnError lets f decide what becomes of records that fail at a node: decode errors at a source, errors of
// Try… forms and processors at theirs, encode and produce errors at a sink. Given to NewBuilder it counts for
// every node without a policy of its own. For one answer to everything write OnError(topology.Skip.Always).
func OnError(f ErrorPolicy) PolicyOption { return policyOption{f} }

type policyOption struct{ f ErrorPolicy }

func (p policyOption) applyBuilder(b *Builder)    { b.onError = p.f }
func (p policyOption) applyNode(o *nodeOptions)   { o.onError = p.f }
func (p policyOption) applySource(o *nodeOptions) { o.onError = p.f }

// DeadLetterTopic names the topic that takes dead letters. Without it that is "<app>-dead-letter".
func DeadLetterTopic(name string) BuilderOption {
	return builderOption(func(b *Builder) { b.deadLetter = name })
}
