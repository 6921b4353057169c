package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The keys that are served.
const (
	keyProduce                 int16 = 0
	keyFetch                   int16 = 1
	keyListOffsets             int16 = 2
	keyMetadata                int16 = 3
	keyOffsetCommit            int16 = 8
	keyOffsetFetch             int16 = 9
	keyFindCoordinator         int16 = 10
	keyJoinGroup               int16 = 11
	keyHeartbeat               int16 = 12
	keyLeaveGroup              int16 = 13
	keySyncGroup               int16 = 14
	keyDescribeGroups          int16 = 15
	keyListGroups              int16 = 16
	keyApiVersions             int16 = 18
	keyCreateTopics            int16 = 19
	keyDeleteTopics            int16 = 20
	keyDeleteRecords           int16 = 21
	keyOffsetForLeaderEpoch    int16 = 23
	keyInitProducerID          int16 = 22
	keyDescribeConfigs         int16 = 32
	keyAlterConfigs            int16 = 33
	keyDescribeLogDirs         int16 = 35
	keyCreatePartitions        int16 = 37
	keyDeleteGroups            int16 = 42
	keyIncrementalAlterConfigs int16 = 44
	keyOffsetDelete            int16 = 47
	keyDescribeCluster         int16 = 60
	keyDescribeProducers       int16 = 61
	keyDescribeTopicPartitions int16 = 75
)

// never is the first flexible version of a key that has none.
const never = 1<<15 - 1

// minRequest is the size in bytes of the shortest request: key, version and correlation.
const minRequest = 8

// api is one row of what is served: versions min to max, the first flexible one, and how a request is
// taken. Produce has no shape and no handler: it is read from the socket.
type api struct {
	key, min, max, flexible int16
	shape                   shape
	handle                  func(c *conn, k *call, body []byte) error
}

// served lists every key that is served, ascending; ApiVersions tells clients exactly this. A function,
// since one of the handlers reads it.
func served() []api {
	return []api{
		{keyProduce, 0, 13, 9, shape{}, nil},
		{keyFetch, 4, 18, 12, fetchShape, (*conn).fetch},
		{keyListOffsets, 0, 11, 6, listOffsetsShape, (*conn).listOffsets},
		{keyMetadata, 0, 13, 9, metadataShape, (*conn).metadata},
		{keyOffsetCommit, 2, 9, 8, offsetCommitShape, (*conn).offsetCommit},
		{keyOffsetFetch, 1, 9, 6, offsetFetchShape, (*conn).offsetFetch},
		{keyFindCoordinator, 0, 5, 3, findCoordinatorShape, (*conn).findCoordinator},
		{keyJoinGroup, 0, 9, 6, joinGroupShape, (*conn).joinGroup},
		{keyHeartbeat, 0, 4, 4, heartbeatShape, (*conn).heartbeat},
		{keyLeaveGroup, 0, 5, 4, leaveGroupShape, (*conn).leaveGroup},
		{keySyncGroup, 0, 5, 4, syncGroupShape, (*conn).syncGroup},
		{keyDescribeGroups, 0, 6, 5, describeGroupsShape, (*conn).describeGroups},
		{keyListGroups, 0, 5, 3, listGroupsShape, (*conn).listGroups},
		{keyApiVersions, 0, 4, 3, apiVersionsShape, (*conn).apiVersions},
		{keyCreateTopics, 0, 7, 5, createTopicsShape, (*conn).createTopics},
		{keyDeleteTopics, 0, 6, 4, deleteTopicsShape, (*conn).deleteTopics},
		{keyDeleteRecords, 0, 2, 2, deleteRecordsShape, (*conn).deleteRecords},
		{keyInitProducerID, 0, 5, 2, initProducerIDShape, (*conn).initProducerID},
		{keyOffsetForLeaderEpoch, 0, 4, 4, offsetForLeaderEpochShape, (*conn).offsetForLeaderEpoch},
		{keyDescribeConfigs, 0, 4, 4, describeConfigsShape, (*conn).describeConfigs},
		{keyAlterConfigs, 0, 2, 2, alterConfigsShape, (*conn).alterConfigs},
		{keyDescribeLogDirs, 0, 5, 2, describeLogDirsShape, (*conn).describeLogDirs},
		{keyCreatePartitions, 0, 3, 2, createPartitionsShape, (*conn).createPartitions},
		{keyDeleteGroups, 0, 3, 2, deleteGroupsShape, (*conn).deleteGroups},
		{keyIncrementalAlterConfigs, 0, 1, 1, incrementalAlterConfigsShape, (*conn).incrementalAlterConfigs},
		{keyOffsetDelete, 0, 0, never, offsetDeleteShape, (*conn).offsetDelete},
		{keyDescribeCluster, 0, 2, 0, describeClusterShape, (*conn).describeCluster},
		{keyDescribeProducers, 0, 0, 0, describeProducersShape, (*conn).describeProducers},
		{keyDescribeTopicPartitions, 0, 0, 0, describeTopicPartitionsShape, (*conn).describeTopicPartitions},
	}
}

var apis = func() map[int16]*api {
	m := map[int16]*api{}
	for _, a := range served() {
		m[a.key] = &a
	}
	return m
}()

// request reads one request and hands it to the port. An error ends the connection.
func (c *conn) request(f *frame, size int) error {
	key, version := f.int16(), f.int16()
	k := &call{
		conn: c, key: key, version: version, correlation: f.int32(),
		inBytes: size, began: c.s.o.Now(), ready: make(chan struct{}),
	}
	k.open.Store(1)
	if f.err != nil {
		return f.err
	}
	c.serving = k
	a, ok := apis[key]
	if !ok {
		return malformed("api key %d is not served", key)
	}
	if version < a.min || version > a.max {
		if key == keyApiVersions {
			return c.unknownApiVersions(f, k)
		}
		return malformed("version %d of api key %d (%s) is not served", version, key, kmsg.NameForKey(key))
	}
	k.flexible = version >= a.flexible
	if n := f.length(false, false); n > 0 {
		k.who = c.who(f.body(n))
	} else {
		k.who = c.who(nil)
	}
	f.tags(k.flexible)
	if f.err != nil {
		return fmt.Errorf("read header of api key %d: %w", key, f.err)
	}
	if key == keyProduce {
		return c.produce(f, k)
	}
	return c.control(f, k, a)
}

// maxControl is the largest request in bytes that is not a Produce. Kafka has one limit for all; names
// and numbers of 100,000 elements fit into this one.
const maxControl = 8 << 20

// errStopping ends a reader that was told to stop while it waited.
var errStopping = errors.New("connection is stopping")

// control takes a request that kmsg decodes. It is paid for once, its bytes and what they become in
// memory, before anything of that size is allocated: a body that fits into the input is counted first, a
// larger one is paid for as if it were all elements. Nobody waits for credit while holding some.
func (c *conn) control(f *frame, k *call, a *api) error {
	n := f.left
	if n > maxControl {
		return malformed("request of %d bytes for api key %d, at most %d are taken", n, a.key, maxControl)
	}
	taken := false
	defer func() { // also where the handler panics
		if !taken {
			k.abandon()
		}
		k.done()
	}()
	paid := n + min(n/2, maxElements)*elementBytes
	large := n > inputBytes
	if large && !k.charge(paid) {
		return errStopping
	}
	body := f.body(n)
	if f.err != nil {
		return fmt.Errorf("read api key %d version %d: %w", k.key, k.version, f.err)
	}
	elements, err := a.shape.skim(body, k.version, k.flexible)
	if err != nil {
		return fmt.Errorf("read api key %d version %d: %w", k.key, k.version, err)
	}
	cost := min(paid, n+elements*elementBytes)
	if large {
		k.refund(paid - cost)
	} else if !k.charge(cost) {
		return errStopping
	}
	if err := a.handle(c, k, body); err != nil {
		return fmt.Errorf("serve api key %d version %d: %w", k.key, k.version, err)
	}
	taken = true
	return c.enqueue(k)
}

// decode reads a body that was skimmed. Strings are copied out of it.
func (k *call) decode(body []byte, into kmsg.Request) error {
	into.SetVersion(k.version)
	if err := into.ReadFrom(body); err != nil {
		return malformed("%v", err)
	}
	return nil
}

// enqueue hands the call to the writer. It waits while too many are in flight.
func (c *conn) enqueue(k *call) error {
	c.unanswered.Add(1)
	select {
	case c.queue <- k:
		return nil
	case <-c.dead:
		c.unanswered.Add(-1)
		k.abandon()
		return errStopping
	}
}
