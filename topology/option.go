package topology

import (
	"github.com/millstream-io/millstream/topology/plan"
)

// Decision says what becomes of a record that failed: Fail, Skip or DeadLetter.
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
