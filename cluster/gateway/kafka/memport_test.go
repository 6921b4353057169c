package kafka

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/config"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/partition/producer"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// memPort is a broker.Port of one member that keeps batches in memory: real offsets, long polls, topics.
type memPort struct {
	memGroups
	mu         sync.Mutex
	table      atomic.Pointer[placement.Table]
	logs       map[record.TopicPartition]*memLog
	waiters    map[*memWait]struct{}
	nextID     uint64
	nextPID    int64
	autoCreate bool
	leaderless bool  // Leader knows none
	refuse     error // of every Produce
	bad        []broker.BadRecord
	hold       chan struct{} // Produce answers only once it is closed
	panics     bool          // Produce and ListOffsets panic
	produced   []broker.Produce
	mostPolls  int // long polls that waited at one time
	released   atomic.Int64
	cancelled  atomic.Int64
	fetches    atomic.Int64
}

type memLog struct {
	batches []record.Batch
	start   record.Offset
	next    record.Offset
}

type memWait struct {
	f     broker.Fetch
	done  func(broker.Fetched)
	timer *time.Timer
}

func newMemPort() *memPort {
	p := &memPort{logs: map[record.TopicPartition]*memLog{}, waiters: map[*memWait]struct{}{}, nextPID: 1000}
	p.table.Store(&placement.Table{
		ClusterID: "test-cluster",
		Members:   map[record.MemberID]*placement.Member{1: {ID: 1, Rack: "r1"}},
		Topics:    map[string]*placement.Topic{}, ByID: map[record.TopicID]*placement.Topic{},
	})
	return p
}

// change publishes a copy of the table that fn has changed. The caller holds mu.
func (p *memPort) change(fn func(t *placement.Table)) {
	t := *p.table.Load()
	t.Topics, t.ByID = maps.Clone(t.Topics), maps.Clone(t.ByID)
	t.Version++
	fn(&t)
	p.table.Store(&t)
}

// add makes a topic; the caller holds mu.
func (p *memPort) add(name string, partitions int) *placement.Topic {
	p.nextID++
	t := &placement.Topic{Name: name, Config: config.Topic{MaxMessageBytes: 1 << 20}}
	t.ID[15], t.ID[14], t.ID[0] = byte(p.nextID), byte(p.nextID>>8), 7
	for i := range partitions {
		replicas := []placement.Replica{{ID: 1, Member: 1}}
		t.Partitions = append(t.Partitions, placement.Partition{Replicas: replicas})
		p.logs[record.TopicPartition{Topic: t.ID, Partition: record.Partition(i)}] = &memLog{}
	}
	p.change(func(tab *placement.Table) { tab.Topics[name], tab.ByID[t.ID] = t, t })
	return t
}

func (p *memPort) topic(name string, partitions int) *placement.Topic {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(name, partitions)
}

// takenAre reports whether so many Produce requests came and so many long polls wait.
func (p *memPort) takenAre(produced, waiting int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.produced) == produced && len(p.waiters) == waiting
}

func (p *memPort) find(name string, id record.TopicID, n record.Partition) (*memLog, error) {
	t := p.Table().Topics[name]
	if !id.IsZero() {
		if t = p.Table().ByID[id]; t == nil {
			return nil, fault.New(fault.UnknownTopicID, "no topic %s", id)
		}
	}
	if t == nil || n < 0 || int(n) >= len(t.Partitions) {
		return nil, fault.New(fault.UnknownTopicOrPartition, "no partition %s/%d", name, n)
	}
	return p.logs[record.TopicPartition{Topic: t.ID, Partition: n}], nil
}

func (p *memPort) Produce(r broker.Produce, done func(broker.Produced)) {
	if p.panics {
		panic("produce")
	}
	p.mu.Lock()
	p.produced = append(p.produced, r)
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		go func() { <-hold; done(p.append(r)) }()
		return
	}
	done(p.append(r))
}

func (p *memPort) append(r broker.Produce) broker.Produced {
	p.mu.Lock()
	log, err := p.find(r.Topic, r.TopicID, r.Partition)
	b := record.Batch(r.Frame[state.FrameRoom:])
	if err == nil {
		err = b.Check()
	}
	if p.refuse != nil {
		err = p.refuse
	}
	if err != nil {
		p.mu.Unlock()
		return broker.Produced{Base: -1, LogStart: -1, AppendTimeMs: -1, Err: err, Records: p.bad}
	}
	base := log.next
	b.SetBaseOffset(base)
	b.SetLeaderEpoch(3)
	log.batches, log.next = append(log.batches, b), b.LastOffset()+1
	var ready []func()
	for w := range p.waiters {
		if f, ok := p.gather(w.f); ok {
			delete(p.waiters, w)
			w.timer.Stop()
			ready = append(ready, func() { w.done(f) })
		}
	}
	p.mu.Unlock()
	for _, fn := range ready {
		fn()
	}
	return broker.Produced{Base: base, AppendTimeMs: -1}
}

func (p *memPort) Fetch(f broker.Fetch, done func(broker.Fetched)) func() {
	p.fetches.Add(1)
	p.mu.Lock()
	r, ok := p.gather(f)
	if wait := time.Until(f.Deadline); !ok && wait > 0 {
		w := &memWait{f: f, done: done}
		p.waiters[w] = struct{}{}
		p.mostPolls = max(p.mostPolls, len(p.waiters))
		w.timer = time.AfterFunc(wait, func() { p.expire(w) })
		p.mu.Unlock()
		return func() { p.cancelled.Add(1); p.expire(w) }
	}
	p.mu.Unlock()
	done(r)
	return func() {}
}

func (p *memPort) expire(w *memWait) {
	p.mu.Lock()
	_, waits := p.waiters[w]
	delete(p.waiters, w)
	w.timer.Stop()
	r, _ := p.gather(w.f)
	p.mu.Unlock()
	if waits {
		w.done(r)
	}
}

// gather reads what is there; ok where it need not wait. The caller holds mu.
func (p *memPort) gather(f broker.Fetch) (r broker.Fetched, ok bool) {
	total := 0
	for _, q := range f.Partitions {
		var a broker.FetchedPartition
		var log *memLog
		log, a.Err = p.find(q.Topic, q.TopicID, q.Partition)
		if a.Err == nil && (q.From < 0 || q.From > log.next) {
			a.Err = fault.New(fault.OffsetOutOfRange, "offset %d", q.From)
		}
		if a.Err != nil {
			ok = true
			r.Partitions = append(r.Partitions, a)
			continue
		}
		a.HighWatermark, a.LastStable = log.next, log.next
		mine := 0
		i, _ := slices.BinarySearchFunc(log.batches, q.From, func(b record.Batch, o record.Offset) int {
			return int(b.LastOffset() - o)
		})
		for ; i < len(log.batches); i++ {
			b := log.batches[i]
			if total > 0 && (total+len(b) > f.MaxBytes || mine+len(b) > q.MaxBytes) {
				break
			}
			a.Batches = append(a.Batches, b)
			total, mine = total+len(b), mine+len(b)
		}
		r.Partitions = append(r.Partitions, a)
	}
	r.Release = func() { p.released.Add(1) }
	return r, ok || total >= f.MinBytes
}

func (p *memPort) ListOffsets(_ broker.Who, q []broker.OffsetQuery, _ time.Time,
	done func([]broker.OffsetAnswer),
) {
	if p.panics {
		panic("list offsets")
	}
	p.mu.Lock()
	var answers []broker.OffsetAnswer
	for _, q := range q {
		a := broker.OffsetAnswer{Offset: -1, TimestampMs: -1, Epoch: 3}
		log, err := p.find(q.Topic, record.TopicID{}, q.Partition)
		switch a.Err = err; {
		case err != nil:
		case q.TimestampMs == broker.TimestampLatest:
			a.Offset = log.next
		case q.TimestampMs == broker.TimestampEarliest || q.TimestampMs == broker.TimestampEarliestLocal:
			a.Offset = log.start
		case q.TimestampMs < broker.TimestampEarliestLocal:
		default:
			for _, b := range log.batches {
				if b.MaxTimestampMs() >= q.TimestampMs {
					a.Offset, a.TimestampMs = b.BaseOffset(), b.MaxTimestampMs()
					break
				}
			}
		}
		answers = append(answers, a)
	}
	p.mu.Unlock()
	done(answers)
}

// memPartitions is how many a topic has at most, as every broker has a limit: the fuzzer asks for billions.
const memPartitions = 1000

func (p *memPort) CreateTopics(_ broker.Who, ts []broker.NewTopic, validate bool, _ time.Time,
	done func([]broker.CreatedTopic),
) {
	p.mu.Lock()
	var made []broker.CreatedTopic
	for _, t := range ts {
		r := broker.CreatedTopic{Name: t.Name, Partitions: t.Partitions, Replicas: 1}
		if r.Partitions == -1 {
			r.Partitions = int32(max(1, len(t.Assignment)))
		}
		switch {
		case p.Table().Topics[t.Name] != nil:
			r.Err = fault.New(fault.TopicAlreadyExists, "topic %q exists", t.Name).WithHint("use it")
		case t.Name == "bad!":
			r.Err = fault.New(fault.InvalidTopic, "topic name %q", t.Name)
		case r.Partitions > memPartitions:
			r.Err = fault.New(fault.InvalidPartitions, "topic %q with %d partitions", t.Name, r.Partitions)
		case !validate:
			r.ID = p.add(t.Name, int(r.Partitions)).ID
			r.Configs = testEntries()
		}
		made = append(made, r)
	}
	p.mu.Unlock()
	done(made)
}

func testEntries() []config.Entry {
	return []config.Entry{
		{Key: "max.message.bytes", Value: "9", Default: "1048588", Source: config.SourceTopic,
			Type: config.TypeInt, Doc: "doc"},
		{Key: "cleanup.policy", Value: "delete", Default: "delete", Source: config.SourceDefault,
			Type: config.TypeList, ReadOnly: true},
	}
}

func (p *memPort) DeleteTopics(_ broker.Who, refs []broker.TopicRef, _ time.Time,
	done func([]broker.DeletedTopic),
) {
	p.mu.Lock()
	var deleted []broker.DeletedTopic
	for _, ref := range refs {
		t := p.Table().Topics[ref.Name]
		r := broker.DeletedTopic{Name: ref.Name, ID: ref.ID}
		if ref.Name == "" {
			t = p.Table().ByID[ref.ID]
			r.Err = fault.New(fault.UnknownTopicID, "no topic %s", ref.ID)
		} else {
			r.Err = fault.New(fault.UnknownTopicOrPartition, "no topic %q", ref.Name)
		}
		if t != nil {
			r = broker.DeletedTopic{Name: t.Name, ID: t.ID}
			p.change(func(tab *placement.Table) { delete(tab.Topics, t.Name); delete(tab.ByID, t.ID) })
		}
		deleted = append(deleted, r)
	}
	p.mu.Unlock()
	done(deleted)
}

func (p *memPort) CreatePartitions(_ broker.Who, ms []broker.MorePartitions, _ bool, _ time.Time,
	done func([]broker.TopicResult),
) {
	var results []broker.TopicResult
	p.mu.Lock()
	for _, m := range ms {
		r := broker.TopicResult{Topic: m.Topic}
		old := p.Table().Topics[m.Topic]
		switch {
		case old == nil:
			r.Err = fault.New(fault.UnknownTopicOrPartition, "no topic %q", m.Topic)
		case int(m.Count) <= len(old.Partitions):
			r.Err = fault.New(fault.InvalidPartitions, "topic %q has %d", m.Topic, len(old.Partitions)).
				WithHint("ask for more")
		case m.Count > memPartitions:
			r.Err = fault.New(fault.InvalidPartitions, "topic %q with %d partitions", m.Topic, m.Count)
		default:
			t := *old
			for i := len(t.Partitions); i < int(m.Count); i++ {
				t.Partitions = append(slices.Clip(t.Partitions), old.Partitions[0])
				p.logs[record.TopicPartition{Topic: t.ID, Partition: record.Partition(i)}] = &memLog{}
			}
			p.change(func(tab *placement.Table) { tab.Topics[t.Name], tab.ByID[t.ID] = &t, &t })
		}
		results = append(results, r)
	}
	p.mu.Unlock()
	done(results)
}

func (p *memPort) EpochEnds(_ broker.Who, q []broker.EpochQuery) []broker.EpochAnswer {
	out := make([]broker.EpochAnswer, len(q))
	for i := range q {
		out[i].End = broker.EpochEnd{Epoch: q[i].Epoch, End: record.Offset(q[i].Partition)}
	}
	return out
}

func (p *memPort) DescribeConfigs(_ broker.Who, rs []broker.ConfigResource) (ds []broker.ConfigDescription) {
	for _, r := range rs {
		d := broker.ConfigDescription{Resource: r}
		if r.Type == broker.ResourceTopic && p.Table().Topics[r.Name] == nil {
			d.Err = fault.New(fault.UnknownTopicOrPartition, "no topic %q", r.Name)
		} else {
			for _, e := range testEntries() {
				if r.Keys == nil || slices.Contains(r.Keys, e.Key) {
					d.Entries = append(d.Entries, e)
				}
			}
		}
		ds = append(ds, d)
	}
	return ds
}

// AlterConfigs plans against the topic's configuration, as the controller does.
func (p *memPort) AlterConfigs(_ broker.Who, as []broker.AlterConfig, validate bool, _ time.Time,
	done func([]broker.AlteredConfig),
) {
	p.mu.Lock()
	var altered []broker.AlteredConfig
	for _, a := range as {
		r := broker.AlteredConfig{Type: a.Type, Name: a.Name}
		t := p.Table().Topics[a.Name]
		switch {
		case a.Type != broker.ResourceTopic:
			r.Err = fault.New(fault.InvalidRequest, "resource type %d", a.Type)
		case t == nil:
			r.Err = fault.New(fault.UnknownTopicOrPartition, "no topic %q", a.Name)
		default:
			change, err := config.Plan(t.Config, a.Ops, a.Replace)
			if r.Err = err; err == nil && !validate {
				is := *t
				is.Config = config.Stored(change.Apply(t.Config.Overrides))
				p.change(func(tab *placement.Table) { tab.Topics[t.Name], tab.ByID[t.ID] = &is, &is })
			}
		}
		altered = append(altered, r)
	}
	p.mu.Unlock()
	done(altered)
}

func (p *memPort) DeleteRecords(_ broker.Who, rs []broker.DeleteRecords, _ time.Time,
	done func([]broker.DeletedRecords),
) {
	p.mu.Lock()
	var deleted []broker.DeletedRecords
	for _, r := range rs {
		d := broker.DeletedRecords{Topic: r.Topic, Partition: r.Partition, LogStart: -1}
		log, err := p.find(r.Topic, record.TopicID{}, r.Partition)
		switch d.Err = err; {
		case err != nil:
		case r.To > log.next || r.To < broker.ToHighWatermark:
			d.Err = fault.New(fault.OffsetOutOfRange, "offset %d", r.To)
		case r.To == broker.ToHighWatermark:
			log.start, d.LogStart = log.next, log.next
		default:
			log.start = max(log.start, r.To)
			d.LogStart = log.start
		}
		deleted = append(deleted, d)
	}
	p.mu.Unlock()
	done(deleted)
}

func (p *memPort) DescribeLogDir(_ broker.Who, wanted []broker.PartitionName, _ time.Time,
	done func(broker.LogDir),
) {
	d := broker.LogDir{Path: "/data", TotalBytes: 1 << 40, UsableBytes: 1 << 39}
	table := p.Table()
	for _, name := range slices.Sorted(maps.Keys(table.Topics)) {
		for i := range table.Topics[name].Partitions {
			n := broker.PartitionName{Topic: name, Partition: record.Partition(i)}
			if wanted == nil || slices.Contains(wanted, n) {
				d.Partitions = append(d.Partitions, broker.PartitionSize{PartitionName: n, Bytes: int64(100 + i)})
			}
		}
	}
	done(d)
}

// DescribeProducers tells of producers 7 and 9, in partitions that exist.
func (p *memPort) DescribeProducers(_ broker.Who, wanted []broker.PartitionName, _ time.Time,
	done func([]broker.DescribedProducers)) {
	p.mu.Lock()
	out := make([]broker.DescribedProducers, len(wanted))
	for i, w := range wanted {
		if _, out[i].Err = p.find(w.Topic, record.TopicID{}, w.Partition); out[i].Err == nil {
			out[i].Active = []producer.Active{
				{ID: 7, Epoch: 2, Last: 41, LastMs: 1000}, {ID: 9, Last: record.Sequence(w.Partition), LastMs: 2000},
			}
		}
	}
	p.mu.Unlock()
	done(out)
}

func (p *memPort) InitProducer(r broker.InitProducer, done func(broker.InitedProducer)) {
	if r.TransactionalID != nil {
		err := fault.New(fault.ProducerFenced, "no transactions")
		done(broker.InitedProducer{ID: -1, Epoch: -1, Err: err})
		return
	}
	p.mu.Lock()
	p.nextPID++
	id := p.nextPID
	p.mu.Unlock()
	done(broker.InitedProducer{ID: record.ProducerID(id)})
}

func (p *memPort) Commit(_ broker.Commit, done func(error)) { done(nil) }

func (p *memPort) Table() *placement.Table { return p.table.Load() }

func (p *memPort) Leader(record.TopicPartition) broker.Leadership {
	return broker.Leadership{Member: 1, Epoch: 3, Known: !p.leaderless}
}

func (p *memPort) Self() record.MemberID       { return 1 }
func (p *memPort) Controller() record.MemberID { return 1 }
func (p *memPort) AutoCreate() bool            { return p.autoCreate }
