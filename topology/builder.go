package topology

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/topology/plan"
)

// deadLetterSuffix makes the default name of the dead-letter topic.
const deadLetterSuffix = "-dead-letter"

// Builder collects the nodes of a topology. One goroutine only; it is done after Build.
type Builder struct {
	app        string
	deadLetter string
	onError    plan.OnError
	at         callSite
	nodes      []*node
	sources    map[string]*node // by topic, repartition topics too
	stores     map[string]*declared
	uses       []use
	internal   []*repartition
	faults     []error
	built      bool
}

// node is a plan node while it is being built.
type node struct {
	*plan.Node
	at    callSite
	taken bool // somebody receives what it emits
	pure  bool // it is of no use unless somebody receives what it emits
	meets bool // records with the same key meet there: all of them have to come to the same task

	events any                        // of a source: its topic's eventTime
	stream any                        // of a source: its *stream[K, V]
	start  bool                       // of a source: a start option was given
	chain  func(*instance) plan.Chain // of a source
}

// NewBuilder begins a topology. app names the application: its consumer group, its tasks and its internal
// topics, so it obeys the rules of topic names. Two topologies with the same app share offsets: use another
// for another job.
func NewBuilder(app string, opts ...BuilderOption) *Builder {
	b := &Builder{app: app, at: caller(), deadLetter: app + deadLetterSuffix, sources: map[string]*node{},
		stores: map[string]*declared{}}
	for _, o := range opts {
		o.applyBuilder(b)
	}
	return b
}

// Build checks the topology and returns it. Its error holds every fault that was found, each with the
// file:line of the call that made it (errors.Join of fault.InvalidRequest); the topology is nil then.
func (b *Builder) Build() (*Topology, error) {
	at := caller()
	if b.built {
		b.faults = append(b.faults, refused(at, "topology %q has been built before", b.app).
			WithHint("keep the Topology: it can be run many times"))
		return nil, errors.Join(b.faults...)
	}
	b.settleUses()
	b.built = true
	b.checkApp()
	if len(b.sources) == 0 {
		b.fault(at, "topology %q reads no topic", b.app)
	}
	b.checkNames()
	b.checkTopics()
	for _, n := range b.nodes {
		if n.pure && !n.taken {
			b.fault(n.at, "nobody takes what %s emits", n.Name)
		}
	}
	if len(b.faults) > 0 {
		return nil, errors.Join(b.faults...)
	}
	return &Topology{graph: b.graph()}, nil
}

func (b *Builder) checkApp() {
	if err := plan.CheckTopicName(b.app); err != nil {
		b.fault(b.at, "application id %q cannot name topics: %w", b.app, err)
	} else if err := plan.CheckTopicName(b.deadLetter); err != nil {
		b.fault(b.at, "dead-letter topic: %w", err)
	}
	if n, ok := b.sources[b.deadLetter]; ok {
		b.fault(n.at, "source %s reads the dead-letter topic that this topology writes", n.Name)
	}
}

// checkTopics looks at how the topology and its topics hang together.
func (b *Builder) checkTopics() {
	owned := map[string]string{}
	for _, r := range b.internal {
		owned[r.Topic] = r.sink.String()
	}
	for _, d := range b.stores {
		if d.Changelog != "" {
			owned[d.Changelog] = "store " + d.Name + " of " + d.Node.String()
		}
	}
	for _, n := range b.nodes {
		if owner := owned[n.Topic]; owner != "" && !n.Internal {
			b.fault(n.at, "topic %s of %s belongs to %s", n.Topic, n.Name, owner)
		}
		if n.Kind == kindSink && !n.Internal {
			b.checkCircle(n)
		}
	}
}

// checkCircle refuses a sink whose records come back to it through a topic that is read.
func (b *Builder) checkCircle(sink *node) {
	source := b.sources[sink.Topic]
	if source == nil || sink.Topic == "" {
		return
	}
	seen := make([]bool, len(b.nodes))
	var reaches func(n *plan.Node) bool
	reaches = func(n *plan.Node) bool {
		if n == sink.Node {
			return true
		}
		if seen[n.ID] {
			return false
		}
		seen[n.ID] = true
		if slices.ContainsFunc(n.Next, reaches) {
			return true
		}
		next := b.sources[n.Topic]
		return n.Kind == kindSink && next != nil && reaches(next.Node)
	}
	if reaches(source.Node) {
		b.faults = append(b.faults, refused(sink.at, "%s writes topic %s, which %s reads: records would go round "+
			"for ever", sink.Name, sink.Topic, source.Node).
			WithHint("write another topic; to spread records anew, use Repartition"))
	}
}

func (b *Builder) checkNames() {
	first := map[string]*node{}
	for _, n := range b.nodes {
		if other, ok := first[n.Name]; ok {
			if n.Internal && other.Internal {
				continue // their topic is a fault
			}
			b.fault(n.at, "node name %q is taken by the node of %s", n.Name, other.at)
			continue
		}
		first[n.Name] = n
	}
}

// The kinds that the plan knows by name.
const (
	kindSource = "source"
	kindSink   = "sink"
)

// add makes the next node. knows is the special options that it takes.
func (b *Builder) add(kind string, o nodeOptions, knows special) *node {
	at := caller()
	n := &node{at: at, Node: &plan.Node{
		ID: len(b.nodes), Name: o.name, Kind: kind, File: at.file, Line: at.line,
		OnError: o.onError, Start: o.start,
	}}
	if n.Name == "" {
		n.Name = fmt.Sprintf("%s-%d", kind, n.ID)
	}
	if n.OnError == nil {
		n.OnError = b.onError
	}
	b.checkOptions(at, n.Name, &o, knows)
	if b.built {
		b.fault(at, "%s is added after Build", n.Name)
	}
	b.nodes = append(b.nodes, n)
	return n
}

// checkOptions reports faults of options, and options that who does not know.
func (b *Builder) checkOptions(at callSite, who string, o *nodeOptions, knows special) {
	for _, f := range o.faults {
		b.fault(at, "%s", f)
	}
	for s := optEmitFinal; s <= optLate; s <<= 1 {
		if o.given&s&^knows != 0 {
			b.fault(at, "%s does not take the option %s", who, specialNames[s])
		}
	}
}

// connect lets to receive what from emits.
func (b *Builder) connect(from, to *node) {
	from.taken = true
	from.Next = append(from.Next, to.Node)
}

func (b *Builder) fault(at callSite, format string, args ...any) {
	b.faults = append(b.faults, refused(at, format, args...))
}

// needs reports a function that was not given. f is any func value.
func (b *Builder) needs(n *node, f any) {
	if reflect.ValueOf(f).IsNil() {
		b.fault(n.at, "%s has no function", n.Name)
	}
}

func refused(at callSite, format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidRequest, "%s: %w", at, fmt.Errorf(format, args...))
}
