package placement

import (
	"cmp"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Limits of a plan: the partitions of one topic, and the replicas of one member. They bound what a client
// can make the cluster hold: each replica is an actor with a raft group of its own.
const (
	MaxPartitions        = 10_000
	MaxReplicasPerMember = 20_000
)

// Wanted says how a topic shall be cut and copied. Partitions and Replicas may be -1 for Defaults.
// Assignment, where not empty, names the members of each partition's replicas itself, preferred leader
// first; Partitions and Replicas are then -1 or agree with it.
type Wanted struct {
	Partitions int32
	Replicas   int16
	Assignment map[record.Partition][]record.MemberID
}

// Defaults is what -1 stands for. A field below 1 counts as 1.
type Defaults struct {
	Partitions int32
	Replicas   int16
}

// Assign plans a new topic: for each partition the members that get a replica, preferred leader first.
// Partitions go round robin over the members, beginning with the one that has the fewest replicas. Errors:
// fault.InvalidPartitions, fault.InvalidReplicationFactor, fault.InvalidReplicaAssignment,
// fault.InvalidRequest,
// fault.PolicyViolation where a member would hold too many replicas.
func Assign(t *Table, w Wanted, d Defaults) ([][]record.MemberID, error) {
	if len(w.Assignment) > 0 {
		return assigned(t, w)
	}
	partitions, replicas := w.Partitions, w.Replicas
	if partitions == -1 {
		partitions = max(d.Partitions, 1)
	}
	if replicas == -1 {
		replicas = max(d.Replicas, 1)
	}
	if err := checkPartitions(partitions); err != nil {
		return nil, err
	}
	if err := checkReplicas(t, int(replicas)); err != nil {
		return nil, err
	}
	return roundRobin(t, int(partitions), int(replicas))
}

// Grow plans the partitions that a topic gains to have count of them, with as many replicas as it was made
// with. assignment, where not nil, names the members of each new partition itself. Errors: as Assign; count
// must be more than there are.
func Grow(t *Table, topic *Topic, count int32, assignment [][]record.MemberID) ([][]record.MemberID, error) {
	have := len(topic.Partitions)
	if int64(count) <= int64(have) {
		return nil, fault.New(fault.InvalidPartitions,
			"topic %s has %d partitions, %d are asked for", topic.Name, have, count).
			WithHint("partitions can only be added: ask for more than %d", have)
	}
	if err := checkPartitions(count); err != nil {
		return nil, err
	}
	added := int(count) - have
	if assignment == nil {
		if err := checkReplicas(t, topic.Replicas()); err != nil {
			return nil, err
		}
		return roundRobin(t, added, topic.Replicas())
	}
	if len(assignment) != added {
		return nil, fault.New(fault.InvalidReplicaAssignment,
			"%d partitions are to be added, %d are assigned", added,
			len(assignment)).WithHint("name the members of each new partition, or of none")
	}
	return assignment, checkAssignment(t, assignment, topic.Replicas())
}

// assigned takes the plan of the request, once it was checked.
func assigned(t *Table, w Wanted) ([][]record.MemberID, error) {
	n := len(w.Assignment)
	if w.Partitions != -1 && int(w.Partitions) != n {
		return nil, fault.New(fault.InvalidRequest,
			"%d partitions are asked for, %d are assigned", w.Partitions, n).
			WithHint("leave the count at -1 where members are assigned")
	}
	if err := checkPartitions(int32(min(n, MaxPartitions+1))); err != nil {
		return nil, err
	}
	plan := make([][]record.MemberID, n)
	for p := range plan {
		members, ok := w.Assignment[record.Partition(p)]
		if !ok {
			return nil, fault.New(fault.InvalidReplicaAssignment,
				"partitions 0 to %d must be assigned, %d is missing", n-1, p)
		}
		plan[p] = members
	}
	if w.Replicas != -1 && int(w.Replicas) != len(plan[0]) {
		return nil, fault.New(fault.InvalidRequest,
			"%d replicas are asked for, %d are assigned", w.Replicas, len(plan[0])).
			WithHint("leave the count at -1 where members are assigned")
	}
	return plan, checkAssignment(t, plan, len(plan[0]))
}

func checkPartitions(n int32) error {
	if n < 1 || n > MaxPartitions {
		return fault.New(fault.InvalidPartitions, "a topic has 1 to %d partitions, not %d", MaxPartitions, n)
	}
	return nil
}

// checkReplicas refuses counts that cannot be placed, and the count of two.
func checkReplicas(t *Table, n int) error {
	members := 0
	if t != nil {
		members = len(t.Members)
	}
	switch {
	case n < 1:
		return fault.New(fault.InvalidReplicationFactor, "replication factor %d is below 1", n).
			WithHint("leave it at -1 for the default")
	case n == 2:
		return fault.New(fault.InvalidReplicationFactor,
			"replication factor 2 is refused: a majority of two is both, so either failure stops the partition").
			WithHint("use 1 (no copy) or 3 (survives one failure)")
	case n > members:
		return fault.New(fault.InvalidReplicationFactor,
			"replication factor %d is more than the %d members", n, members).
			WithHint("use 1, or add members first")
	}
	return nil
}

// checkAssignment refuses plans that name unknown members, one member twice in a partition, or partitions
// with another number of replicas.
func checkAssignment(t *Table, plan [][]record.MemberID, replicas int) error {
	for p, members := range plan {
		if len(members) != replicas || replicas == 0 {
			return fault.New(fault.InvalidReplicaAssignment, "assigned partition %d has %d replicas, not %d", p,
				len(members), max(replicas, 1)).WithHint("each partition has the same number of replicas, 1 or more")
		}
		for i, m := range members {
			if _, ok := t.Members[m]; !ok {
				return fault.New(fault.InvalidReplicaAssignment,
					"assigned partition %d names member %d, which is unknown", p, m)
			}
			if slices.Contains(members[:i], m) {
				return fault.New(fault.InvalidReplicaAssignment, "assigned partition %d names member %d twice", p, m)
			}
		}
	}
	if err := checkReplicas(t, replicas); err != nil {
		return err
	}
	return checkLoad(loads(t), plan)
}

// checkLoad refuses a plan under which a member would hold too many replicas. It counts the plan into load.
func checkLoad(load map[record.MemberID]int, plan [][]record.MemberID) error {
	for _, members := range plan {
		for _, m := range members {
			if load[m]++; load[m] > MaxReplicasPerMember {
				return fault.New(fault.PolicyViolation, "member %d would hold more than %d replicas", m,
					MaxReplicasPerMember).WithHint("delete topics, ask for fewer partitions, or add members")
			}
		}
	}
	return nil
}

// roundRobin gives partition p the members p, p+1, … of a ring that begins with the least loaded.
func roundRobin(t *Table, partitions, replicas int) ([][]record.MemberID, error) {
	load := loads(t)
	ring := byLoad(t, load)
	plan := make([][]record.MemberID, partitions)
	for p := range plan {
		plan[p] = make([]record.MemberID, replicas)
		for r := range plan[p] {
			plan[p][r] = ring[(p+r)%len(ring)]
		}
	}
	return plan, checkLoad(load, plan)
}

// loads counts the replicas of each member.
func loads(t *Table) map[record.MemberID]int {
	load := make(map[record.MemberID]int, len(t.Members))
	for _, topic := range t.Topics {
		for _, p := range topic.Partitions {
			for _, r := range p.Replicas {
				load[r.Member]++
			}
		}
	}
	return load
}

// byLoad lists the members, those with fewer replicas first, equals by id.
func byLoad(t *Table, load map[record.MemberID]int) []record.MemberID {
	ring := slices.Collect(maps.Keys(t.Members))
	slices.SortFunc(ring, func(a, b record.MemberID) int {
		return cmp.Or(cmp.Compare(load[a], load[b]), cmp.Compare(a, b))
	})
	return ring
}
