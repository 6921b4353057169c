package task

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/topology/plan"
)

// ID names a task: a sub-topology of an application on one input partition.
type ID struct {
	App       string
	Sub       int
	Partition record.Partition
}

// String returns "app/<sub>_<partition>".
func (id ID) String() string { return fmt.Sprintf("%s/%d_%d", id.App, id.Sub, id.Partition) }

// ParseID is the inverse of ID.String.
func ParseID(s string) (ID, error) {
	slash := strings.LastIndexByte(s, '/')
	sub, partition, ok := strings.Cut(s[slash+1:], "_")
	if slash < 1 || !ok {
		return ID{}, fmt.Errorf("task id %q is not of the form app/<sub>_<partition>", s)
	}
	n, err1 := strconv.ParseUint(sub, 10, 31)
	p, err2 := strconv.ParseUint(partition, 10, 31)
	id := ID{App: s[:slash], Sub: int(n), Partition: record.Partition(p)}
	if err1 != nil || err2 != nil || id.String() != s {
		return ID{}, fmt.Errorf("task id %q has bad numbers", s)
	}
	return id, nil
}

// IDs lists the tasks of a topology, by sub-topology and partition: each sub-topology has as many as the
// largest of its source topics has partitions. partitions returns 0 for a topic that does not exist.
func IDs(g *plan.Graph, partitions func(topic string) int) []ID {
	var ids []ID
	for _, sub := range g.Subs {
		n := 0
		for _, topic := range sub.SourceTopics() {
			n = max(n, partitions(topic))
		}
		for p := range n {
			ids = append(ids, ID{App: g.App, Sub: sub.ID, Partition: record.Partition(p)})
		}
	}
	return ids
}
