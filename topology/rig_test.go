package topology_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// rig runs all tasks of a topology in one loop over topics in memory: operators and their stores alone,
// without the task core. What is sent is processed at once, records of one call in the order in which they
// were sent.
type rig struct {
	t          tester
	graph      *plan.Graph
	partitions map[string]int
	tasks      map[string]*rigTask
	order      []*rigTask
	queue      []rigRecord
	out        map[string][]record.Record // what topics that nobody reads have got
	now        time.Time
	late       map[string]int // by node
	skipped    map[string]int // by node and reason
	retries    int
	offset     record.Offset
	err        error
}

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

type rigRecord struct {
	topic     string
	partition int
	rec       record.Record
}

// rigTask is one task; it is the runtime of its operators.
type rigTask struct {
	r         *rig
	sub       *plan.Sub
	partition int
	inst      plan.Instance
	stores    map[string]*mapRows
	current   *record.Record
	sent      []rigRecord
}

func newRig(t tester, f func(b *topology.Builder), partitions int) *rig {
	t.Helper()
	b := topology.NewBuilder("app")
	f(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return rigOf(t, topo, partitions)
}

func rigOf(t tester, topo *topology.Topology, partitions int) *rig {
	t.Helper()
	r := &rig{
		t: t, graph: topo.Graph(), tasks: map[string]*rigTask{}, out: map[string][]record.Record{},
		now: time.UnixMilli(1_000_000), late: map[string]int{}, skipped: map[string]int{},
	}
	counts, err := plan.Partitions(r.graph, func(string) int { return partitions })
	if err != nil {
		t.Fatal(err)
	}
	r.partitions = counts
	for _, topic := range r.graph.SourceTopics() {
		r.partitions[topic] = partitions
	}
	for _, sub := range r.graph.Subs {
		n := 0
		for _, topic := range sub.SourceTopics() {
			n = max(n, r.partitions[topic])
		}
		for p := range n {
			task := &rigTask{r: r, sub: sub, partition: p, stores: map[string]*mapRows{}}
			for _, s := range sub.Stores {
				task.stores[s.Name] = &mapRows{rows: map[string][]byte{}}
			}
			r.tasks[fmt.Sprint(sub.ID, "_", p)] = task
			r.order = append(r.order, task)
			task.start(time.Time{})
		}
	}
	return r
}

func (k *rigTask) start(streamTime time.Time) {
	inst, err := k.sub.Open(k)
	if err != nil {
		k.r.t.Fatal(err)
	}
	k.inst = inst
	if !streamTime.IsZero() {
		inst.SetStreamTime(streamTime)
	}
	if err := inst.Init(); err != nil {
		k.r.t.Fatal(err)
	}
}

// restart gives every task a new life on the same stores; stream time is kept or lost.
func (r *rig) restart(keepStreamTime bool) {
	for _, k := range r.order {
		at := k.inst.StreamTime()
		if err := k.inst.Close(); err != nil {
			r.t.Fatal(err)
		}
		if !keepStreamTime {
			at = time.Time{}
		}
		k.start(at)
	}
}

// send writes a record to an input topic and processes everything that follows.
func send[K, V any](r *rig, t topology.Topic[K, V], ms int64, k K, v V) {
	r.t.Helper()
	value, err := serde.Encode(t.Value, nil, serde.Info{Topic: t.Name}, v)
	if err != nil {
		r.t.Fatal(err)
	}
	sendBytes(r, t, ms, k, value)
}

// tombstone writes a null value.
func tombstone[K, V any](r *rig, t topology.Topic[K, V], ms int64, k K) {
	r.t.Helper()
	sendBytes(r, t, ms, k, nil)
}

func sendBytes[K, V any](r *rig, t topology.Topic[K, V], ms int64, k K, value []byte) {
	r.t.Helper()
	key, err := serde.Encode(t.Key, nil, serde.Info{Topic: t.Name, IsKey: true}, k)
	if err != nil {
		r.t.Fatal(err)
	}
	r.raw(t.Name, record.Record{TimestampMs: ms, Key: key, Value: value})
}

func (r *rig) raw(topic string, rec record.Record) {
	r.t.Helper()
	r.push(topic, rec)
	if err := r.run(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) push(topic string, rec record.Record) {
	n, read := r.partitions[topic]
	if !read {
		r.out[topic] = append(r.out[topic], rec)
		return
	}
	p := 0
	if rec.Key != nil {
		p = int(record.PartitionFor(rec.Key, n))
	}
	rec.Offset = r.offset
	r.offset++
	r.queue = append(r.queue, rigRecord{topic, p, rec})
}

func (r *rig) run() error {
	for len(r.queue) > 0 {
		next := r.queue[0]
		r.queue = r.queue[1:]
		if err := r.process(next); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) process(next rigRecord) error {
	for _, k := range r.order {
		i := slices.IndexFunc(k.sub.Sources, func(n *plan.Node) bool { return n.Topic == next.topic })
		if i < 0 || k.partition != next.partition {
			continue
		}
		if err := k.process(i, &next.rec); err != nil {
			return err
		}
		for _, s := range k.sent {
			r.push(s.topic, s.rec)
		}
		k.sent = nil
	}
	return nil
}

// process takes one record, and again where the policy says so: on the stores as they were, with nothing
// sent.
func (k *rigTask) process(source int, rec *record.Record) error {
	for {
		before := map[string]map[string][]byte{}
		for name, s := range k.stores {
			before[name] = maps.Clone(s.rows)
		}
		k.current = rec
		err := k.inst.Chains()[source].Process(rec)
		var retry *plan.RetryError
		if !errors.As(err, &retry) {
			return err
		}
		k.r.retries++
		k.r.now = k.r.now.Add(retry.After)
		k.sent = nil
		for name, s := range k.stores {
			s.rows, s.sorted = before[name], nil
		}
	}
}

func (k *rigTask) Context() context.Context    { return context.Background() }
func (k *rigTask) Task() string                { return fmt.Sprintf("app/%d_%d", k.sub.ID, k.partition) }
func (k *rigTask) Partition() record.Partition { return record.Partition(k.partition) }
func (k *rigTask) Now() time.Time              { return k.r.now }

func (k *rigTask) Send(_ *plan.Node, topic string, rec *record.Record) error {
	own := *rec
	own.Key, own.Value = bytes.Clone(rec.Key), bytes.Clone(rec.Value)
	k.sent = append(k.sent, rigRecord{topic: topic, rec: own})
	return nil
}

func (k *rigTask) Refuse(s plan.Stage, n *plan.Node, err error) error {
	e := &plan.RecordError{Stage: s, Node: n, Task: k.Task(), Err: err, Record: k.current}
	decision := plan.Fail
	if n.OnError != nil {
		decision = n.OnError(context.Background(), e)
	}
	switch decision.Kind() {
	case plan.Skip:
		return nil
	case plan.Retry:
		return &plan.RetryError{After: decision.Wait(), Err: e}
	}
	return e
}

func (k *rigTask) Rows(s *plan.Store) (plan.Rows, error) {
	rows := k.stores[s.Name]
	if rows == nil {
		return nil, fmt.Errorf("no store %s", s.Name)
	}
	return rows, nil
}

func (k *rigTask) CountLate(n *plan.Node)                { k.r.late[n.Name]++ }
func (k *rigTask) CountSkipped(n *plan.Node, why string) { k.r.skipped[n.Name+": "+why]++ }

// mapRows is a store in memory.
type mapRows struct {
	rows    map[string][]byte
	sorted  []string // nil: not sorted since the last change
	scratch []byte
}

func (m *mapRows) Get(key []byte) ([]byte, bool, error) {
	for i := range m.scratch {
		m.scratch[i] = 0xdb // what was returned before is valid no more
	}
	v, ok := m.rows[string(key)]
	m.scratch = append(m.scratch[:0:0], v...)
	return m.scratch, ok, nil
}

func (m *mapRows) Put(key, value []byte) error {
	if value == nil {
		return errors.New("nil value")
	}
	if _, ok := m.rows[string(key)]; !ok {
		m.sorted = nil
	}
	m.rows[string(key)] = append(make([]byte, 0, len(value)), value...)
	return nil
}

func (m *mapRows) Delete(key []byte) error {
	if _, ok := m.rows[string(key)]; ok {
		delete(m.rows, string(key))
		m.sorted = nil
	}
	return nil
}

func (m *mapRows) Range(lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error {
	if m.sorted == nil {
		m.sorted = slices.Sorted(maps.Keys(m.rows))
	}
	type row struct{ key, value []byte }
	var found []row
	i, _ := slices.BinarySearch(m.sorted, string(lo))
	for ; i < len(m.sorted) && (hi == nil || m.sorted[i] < string(hi)); i++ {
		found = append(found, row{[]byte(m.sorted[i]), bytes.Clone(m.rows[m.sorted[i]])})
	}
	if reverse {
		slices.Reverse(found)
	}
	for _, r := range found {
		if !fn(r.key, r.value) {
			return nil
		}
	}
	return nil
}

// got returns what a topic has got since the last look, one record a line: "key=value@ms", with null where
// there is none.
func got[K, V any](r *rig, t topology.Topic[K, V]) string {
	r.t.Helper()
	var lines []string
	for _, rec := range r.out[t.Name] {
		k, nullKey, err := serde.Decode(t.Key, rec.Key, serde.Info{Topic: t.Name, IsKey: true})
		if err != nil {
			r.t.Fatal(err)
		}
		v, nullValue, err := serde.Decode(t.Value, rec.Value, serde.Info{Topic: t.Name})
		if err != nil {
			r.t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s=%s@%d", shown(k, nullKey), shown(v, nullValue), rec.TimestampMs))
	}
	r.out[t.Name] = nil
	return strings.Join(lines, " ")
}

func shown(v any, null bool) string {
	if null {
		return "null"
	}
	if w, ok := v.(topology.Windowed[string]); ok {
		return fmt.Sprintf("%s[%d,%d)", w.Key, w.Start.UnixMilli(), w.End.UnixMilli())
	}
	return fmt.Sprint(v)
}

func (r *rig) want(got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("got      %s\nexpected %s", got, want)
	}
}

// rows counts the rows of a store over all tasks.
func (r *rig) rows(store string) (n int) {
	for _, k := range r.order {
		if s := k.stores[store]; s != nil {
			n += len(s.rows)
		}
	}
	return n
}
