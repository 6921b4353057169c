package kafka

// Metadata, versions 0 to 13.
//
// Topics asked: v0 empty means all; from v1 null means all and empty none · v4 the client says whether
// topics may be made (older ones always may) · v5 offline replicas · v7 leader epochs · v8 authorised
// operations (v11 drops the cluster's) · v9 flexible · v10 topic ids · v12 topics by id, with a null name
// (Java: an empty one) · v13 an error for the whole, always none here.
//
// A topic that was made just now, and a partition whose leader is not known or cannot be dialled, is
// answered LEADER_NOT_AVAILABLE with leader -1; clients ask again. This member stands in the answer under
// the address that the door advertises. Every replica counts as in sync.

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-io/millstream/cluster/broker"
	"github.com/millstream-io/millstream/partition/placement"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

const (
	metadataNullIsAll int16 = 1
	metadataMayRefuse int16 = 4

	// autoCreateMost is how many topics one request makes; the client asks again for those that are left.
	autoCreateMost = 100
	// autoCreateTimeout is how long a Metadata request waits for the topics that it makes.
	autoCreateTimeout = 5 * time.Second
)

// The operations that the protocol can name, as a bit field by their numbers. Nothing is denied without
// an authoriser.
const (
	clusterOperations int32 = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
	topicOperations   int32 = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
)

// metadataCall is a Metadata request on its way.
type metadataCall struct {
	c    *conn
	k    *call
	req  *kmsg.MetadataRequest
	made map[string]error // by name, of topics that were made for this request
}

func (c *conn) metadata(k *call, body []byte) error {
	req := kmsg.NewPtrMetadataRequest()
	if err := k.decode(body, req); err != nil {
		return err
	}
	m := &metadataCall{c: c, k: k, req: req}
	k.answer = func(o *output) { o.message(m.answer()) }
	missing := m.missing()
	if len(missing) == 0 {
		return nil
	}
	k.owe()
	deadline := c.s.o.Now().Add(autoCreateTimeout)
	c.s.port.CreateTopics(k.who, missing, false, deadline, func(made []broker.CreatedTopic) {
		m.made = make(map[string]error, len(made))
		for _, t := range made {
			m.made[t.Name] = t.Err
		}
		k.done()
	})
	return nil
}

// missing lists the topics to make: those asked by name that do not exist, where client and member allow it.
func (m *metadataCall) missing() (list []broker.NewTopic) {
	if !m.c.s.port.AutoCreate() || (m.k.version >= metadataMayRefuse && !m.req.AllowAutoTopicCreation) {
		return nil
	}
	table := m.c.s.port.Table()
	seen := map[string]bool{}
	for _, t := range m.req.Topics {
		if byID(&t) || *t.Topic == "" || seen[*t.Topic] || table.Topics[*t.Topic] != nil {
			continue
		}
		if len(list) == autoCreateMost {
			break
		}
		seen[*t.Topic] = true
		list = append(list, broker.NewTopic{Name: *t.Topic, Partitions: -1, Replicas: -1})
	}
	return list
}

// answer makes the answer from the newest table.
func (m *metadataCall) answer() kmsg.Response {
	port := m.c.s.port
	table := port.Table()
	nodes := m.c.nodes(table)
	r := kmsg.NewPtrMetadataResponse()
	r.ClusterID = &table.ClusterID
	r.ControllerID = controllerID(port, nodes)
	if m.req.IncludeClusterAuthorizedOperations {
		r.AuthorizedOperations = clusterOperations
	}
	for _, n := range nodes {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = n.id, n.host, n.port, n.rack
		r.Brokers = append(r.Brokers, b)
	}
	all := m.req.Topics == nil
	if m.k.version < metadataNullIsAll {
		all = len(m.req.Topics) == 0
	}
	if all {
		for _, name := range sortedTopics(table) {
			r.Topics = append(r.Topics, m.topic(nodes, table.Topics[name]))
		}
		return r
	}
	told := map[*placement.Topic]bool{}
	for i := range m.req.Topics {
		q := &m.req.Topics[i]
		t := table.ByID[q.TopicID]
		if !byID(q) {
			t = table.Topics[*q.Topic]
		}
		switch {
		case t == nil:
			r.Topics = append(r.Topics, m.unknown(q))
		case !told[t]: // once: a small request must not make an answer of any size
			told[t] = true
			r.Topics = append(r.Topics, m.topic(nodes, t))
		}
	}
	return r
}

func controllerID(port broker.Port, nodes []node) int32 {
	if n, ok := findNode(nodes, int32(port.Controller())); ok {
		return n.id
	}
	return noNode
}

func sortedTopics(table *placement.Table) []string {
	names := make([]string, 0, len(table.Topics))
	for name := range table.Topics {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// byID reports whether a topic is asked by its id. Where there is one the name does not count: Java sends an empty
// one beside it.
func byID(q *kmsg.MetadataRequestTopic) bool { return q.Topic == nil || q.TopicID != record.TopicID{} }

// unknown answers for a topic of the request that is not in the table.
func (m *metadataCall) unknown(q *kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	if byID(q) {
		r := kmsg.NewMetadataResponseTopic()
		r.TopicID = q.TopicID
		r.ErrorCode = fault.UnknownTopicID.Kafka()
		return r
	}
	r := kmsg.NewMetadataResponseTopic()
	r.Topic = q.Topic
	err, tried := m.made[*q.Topic]
	switch code := fault.CodeOf(err); {
	case *q.Topic == "":
		r.ErrorCode = fault.InvalidTopic.Kafka()
	case !tried:
		r.ErrorCode = fault.UnknownTopicOrPartition.Kafka()
	case code == fault.None, code == fault.TopicAlreadyExists:
		r.ErrorCode = fault.LeaderNotAvailable.Kafka() // this member's table lags behind
	default:
		r.ErrorCode = code.Kafka()
	}
	return r
}

// topic describes a topic that exists.
func (m *metadataCall) topic(nodes []node, t *placement.Topic) kmsg.MetadataResponseTopic {
	r := kmsg.NewMetadataResponseTopic()
	r.Topic = &t.Name
	r.TopicID = t.ID
	r.IsInternal = t.Internal
	if m.req.IncludeTopicAuthorizedOperations {
		r.AuthorizedOperations = topicOperations
	}
	r.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i := range t.Partitions {
		p := &r.Partitions[i]
		p.Default()
		p.Partition = int32(i)
		tp := record.TopicPartition{Topic: t.ID, Partition: record.Partition(i)}
		var ok bool
		p.Leader, p.LeaderEpoch, ok = m.c.leaderOf(nodes, tp)
		if !ok {
			p.ErrorCode = fault.LeaderNotAvailable.Kafka()
		}
		p.Replicas = make([]int32, 0, len(t.Partitions[i].Replicas))
		for _, replica := range t.Partitions[i].Replicas {
			p.Replicas = append(p.Replicas, int32(replica.Member))
		}
		p.ISR = p.Replicas
		p.OfflineReplicas = []int32{}
	}
	return r
}
