package assign

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/proto/record"
)

// drawTopics draws up to five topics.
func drawTopics(t *rapid.T) map[string]Shape {
	topics := map[string]Shape{}
	for i := range rapid.IntRange(1, 5).Draw(t, "topics") {
		topics[fmt.Sprintf("t%d", i)] = Shape{record.TopicID{byte(i + 1)}, rapid.IntRange(0, 12).Draw(t, "partitions")}
	}
	return topics
}

func drawMembers(t *rapid.T, topics map[string]Shape, equal bool) []Member {
	var all []string
	for i := range topics {
		all = append(all, i)
	}
	slices.Sort(all)
	n := rapid.IntRange(1, 9).Draw(t, "members")
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{ID: fmt.Sprintf("m%02d", i), Topics: all}
		if !equal {
			members[i].Topics = rapid.SliceOfDistinct(rapid.SampledFrom(append(all, "absent")), rapid.ID[string]).Draw(t, "reads")
		}
	}
	return members
}

// settle lets members give back and take until nobody holds what another should have, and returns the rounds.
func settle(t *rapid.T, members []Member, topics map[string]Shape) int {
	for round := 1; ; round++ {
		given := Share(members, topics)
		holder := map[Partition]string{}
		same := true
		for i := range members {
			m := &members[i]
			for _, p := range m.Owned {
				holder[p] = m.ID
			}
		}
		for i := range members {
			m := &members[i]
			for _, p := range given[m.ID] {
				if h, ok := holder[p]; ok && h != m.ID {
					t.Fatalf("%v is given to %s while %s holds it", p, m.ID, h)
				}
			}
			same = same && slices.Equal(m.Owned, given[m.ID])
			m.Owned, m.Generation = given[m.ID], int32(round)
		}
		if same {
			return round
		}
		if round > 4 {
			t.Fatal("it does not settle")
		}
	}
}

// whole checks that every partition that somebody reads belongs to one reader of it, and returns the loads.
func whole(t *rapid.T, members []Member, topics map[string]Shape) (loads []int) {
	owner := map[Partition]string{}
	read := map[string]bool{}
	for _, m := range members {
		for _, p := range m.Owned {
			if was, twice := owner[p]; twice {
				t.Fatalf("%v belongs to %s and %s", p, was, m.ID)
			}
			owner[p] = m.ID
			s := topics[p.Topic]
			if !slices.Contains(m.Topics, p.Topic) || s.ID != p.ID || int(p.Number) >= s.Partitions {
				t.Fatalf("%s has %v, it reads %v", m.ID, p, m.Topics)
			}
		}
		loads = append(loads, len(m.Owned))
		for _, name := range m.Topics {
			read[name] = true
		}
	}
	want := 0
	for name := range read {
		want += topics[name].Partitions
	}
	if len(owner) != want {
		t.Fatalf("%d of %d partitions belong to somebody", len(owner), want)
	}
	return loads
}

// Goal: whatever members read and hold, every partition ends with one subscriber, and nobody is ever given what
// another holds. Method: random groups, also with made-up claims; rounds of giving back and taking.
func TestEachPartitionOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, false)
		settle(t, members, topics)
		loads := whole(t, members, topics)
		best := leastSquares(members, topics)
		if got := squares(loads); got != best {
			t.Fatalf("loads %v: squares %d, the best sharing has %d", loads, got, best)
		}
	})
}

func squares(loads []int) (n int) {
	for _, l := range loads {
		n += l * l
	}
	return n
}

// leastSquares is the sum of the squares of the loads of the best sharing: partitions one by one, each by the
// cheapest augmenting chain, found anew by trying all.
func leastSquares(members []Member, topics map[string]Shape) int {
	var parts []string
	for name, s := range topics {
		read := slices.ContainsFunc(members, func(m Member) bool { return slices.Contains(m.Topics, name) })
		for range s.Partitions {
			if read {
				parts = append(parts, name)
			}
		}
	}
	owner := make([]int, len(parts))
	loads := make([]int, len(members))
	for i, name := range parts {
		// reach is the cheapest end of a chain that begins with giving this partition to a member.
		from, via := make([]int, len(members)), make([]int, len(members))
		var queue []int
		seen := make([]bool, len(members))
		for m := range members {
			if slices.Contains(members[m].Topics, name) {
				seen[m], from[m], queue = true, -1, append(queue, m)
			}
		}
		for head := 0; head < len(queue); head++ {
			for j := range i {
				if owner[j] != queue[head] {
					continue
				}
				for m := range members {
					if !seen[m] && slices.Contains(members[m].Topics, parts[j]) {
						seen[m], from[m], via[m], queue = true, queue[head], j, append(queue, m)
					}
				}
			}
		}
		end := slices.MinFunc(queue, func(a, b int) int { return loads[a] - loads[b] })
		loads[end]++
		for ; from[end] >= 0; end = from[end] {
			owner[via[end]] = end
		}
		owner[i] = end
	}
	return squares(loads)
}

// Goal: members that read the same differ by one at most, and a join or a leave moves no more than it must.
// Method: a settled group; one comes or goes; what moved is counted.
func TestBalanceAndLeastMovement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, true)
		settle(t, members, topics)
		even(t, whole(t, members, topics))
		before := map[Partition]string{}
		total := 0
		for _, m := range members {
			for _, p := range m.Owned {
				before[p], total = m.ID, total+1
			}
		}
		must := 0
		if leave := rapid.IntRange(-1, len(members)-1).Draw(t, "leaves"); leave >= 0 && len(members) > 1 {
			must = len(members[leave].Owned)
			members = slices.Delete(members, leave, leave+1)
		} else {
			members = append(members, Member{ID: "new", Topics: members[0].Topics})
			must = total / len(members)
		}
		settle(t, members, topics)
		even(t, whole(t, members, topics))
		moved := 0
		for _, m := range members {
			for _, p := range m.Owned {
				if before[p] != m.ID {
					moved++
				}
			}
		}
		if moved > must {
			t.Fatalf("%d moved, %d had to", moved, must)
		}
	})
}

func even(t *rapid.T, loads []int) {
	if slices.Max(loads)-slices.Min(loads) > 1 {
		t.Fatalf("loads %v", loads)
	}
}

// Goal: a settled group stays as it is, the order of its members does not matter, and topics that are made anew or
// grow are shared again. Method: settled random groups.
func TestSticky(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, rapid.Bool().Draw(t, "equal"))
		settle(t, members, topics)
		shuffled := slices.Clone(members)
		slices.Reverse(shuffled)
		for id, list := range Share(shuffled, topics) {
			i := slices.IndexFunc(members, func(m Member) bool { return m.ID == id })
			if !slices.Equal(list, members[i].Owned) {
				t.Fatalf("%s had %v, gets %v", id, members[i].Owned, list)
			}
		}
		topics["t0"] = Shape{record.TopicID{99}, topics["t0"].Partitions + 2}
		settle(t, members, topics)
		whole(t, members, topics)
	})
}

// Goal: two claims for the same partition: the newer counts, and what is being released goes to nobody.
// Method: a table.
func TestClaims(t *testing.T) {
	topics := map[string]Shape{"t": {record.TopicID{1}, 2}}
	p0, p1 := Partition{"t", record.TopicID{1}, 0}, Partition{"t", record.TopicID{1}, 1}
	a := Member{ID: "a", Topics: []string{"t"}, Owned: []Partition{p0, p1}, Generation: 3}
	b := Member{ID: "b", Topics: []string{"t"}, Owned: []Partition{p1}, Generation: 5}
	got := Share([]Member{a, b}, topics)
	if !slices.Equal(got["a"], []Partition{p0}) || !slices.Equal(got["b"], []Partition{p1}) {
		t.Errorf("two claims: %v", got)
	}
	a.Owned, a.Releasing = nil, []Partition{p0, p1}
	b.Owned = nil
	if got := Share([]Member{a, b}, topics); len(got["b"]) != 0 || len(got["a"]) != 1 {
		t.Errorf("releasing: %v", got)
	}
}

// Goal: what is encoded is read again. Method: random members and assignments.
func TestCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t)
		members := drawMembers(t, topics, false)
		settle(t, members, topics)
		for _, m := range members {
			got, err := DecodeMember(m.ID, EncodeMember(m))
			if err != nil || !slices.Equal(got.Owned, m.Owned) || !slices.Equal(got.Topics, m.Topics) || got.Generation != m.Generation {
				t.Fatalf("%v became %v, %v", m, got, err)
			}
			a, err := DecodeAssignment(EncodeAssignment(Assignment{m.Owned, topics}))
			if err != nil || !slices.Equal(a.Partitions, m.Owned) || len(a.Shapes) != len(topics) || a.Shapes["t0"] != topics["t0"] {
				t.Fatalf("%v became %v, %v", m.Owned, a, err)
			}
		}
	})
}

// FuzzDecode: any bytes are read or refused, and what was read is written and read as the same.
func FuzzDecode(f *testing.F) {
	p := []Partition{{"t", record.TopicID{1}, 0}, {"t", record.TopicID{1}, 4}}
	f.Add(EncodeMember(Member{Topics: []string{"t"}, Owned: p, Generation: 2}))
	f.Add(EncodeAssignment(Assignment{p, map[string]Shape{"t": {record.TopicID{1}, 5}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := DecodeMember("m", b); err == nil {
			again, err := DecodeMember("m", EncodeMember(m))
			if err != nil || !bytes.Equal(EncodeMember(again), EncodeMember(m)) {
				t.Errorf("%v became %v, %v", m, again, err)
			}
		}
		if a, err := DecodeAssignment(b); err == nil {
			again, err := DecodeAssignment(EncodeAssignment(a))
			if err != nil || !bytes.Equal(EncodeAssignment(again), EncodeAssignment(a)) {
				t.Errorf("%v became %v, %v", a, again, err)
			}
		}
	})
}
