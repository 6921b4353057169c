package assign

import (
	"cmp"
	"slices"
	"strings"

	"github.com/millstream-io/millstream/proto/record"
)

// Partition is a partition of a topic by name and id.
type Partition struct {
	Topic  string
	ID     record.TopicID
	Number record.Partition
}

// Compare orders partitions by topic, number and id.
func Compare(a, b Partition) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number), slices.Compare(a.ID[:], b.ID[:]))
}

// Shape is what there is of a topic. Zero: it does not exist.
type Shape struct {
	ID         record.TopicID
	Partitions int
}

// Member is one member as the leader knows it. Owned is what it holds and would keep, Releasing what it holds and
// gives back. Generation is that in which it was given the newest of them: where two claim the same, the older
// claim counts for nothing.
type Member struct {
	ID               string
	Topics           []string
	Owned, Releasing []Partition
	Generation       int32
}

// Share gives each member what it may have now: of its target, all that no other member holds. Lists are
// ascending; every member has an entry.
func Share(members []Member, topics map[string]Shape) map[string][]Partition {
	target := Target(members, topics)
	holders := claims(members, func(m *Member) []Partition { return slices.Concat(m.Owned, m.Releasing) })
	out := make(map[string][]Partition, len(members))
	for id, list := range target {
		out[id] = slices.DeleteFunc(list, func(p Partition) bool {
			holder, held := holders[p]
			return held && holder != id
		})
	}
	return out
}

// claims says who holds what: the claim of the latest generation counts, of equal ones that of the first id.
func claims(members []Member, of func(*Member) []Partition) map[Partition]string {
	type claim struct {
		id         string
		generation int32
	}
	best := map[Partition]claim{}
	for i := range members {
		m := &members[i]
		for _, p := range of(m) {
			c, ok := best[p]
			if !ok || m.Generation > c.generation || m.Generation == c.generation && m.ID < c.id {
				best[p] = claim{m.ID, m.Generation}
			}
		}
	}
	out := make(map[Partition]string, len(best))
	for p, c := range best {
		out[p] = c.id
	}
	return out
}

// Target is where every partition should be in the end, whoever holds it now.
func Target(members []Member, topics map[string]Shape) map[string][]Partition {
	s := newSharing(members, topics)
	s.keep(members)
	s.fill()
	s.level()
	out := make(map[string][]Partition, len(s.readers))
	for _, r := range s.readers {
		out[r.id] = r.list()
	}
	return out
}

// sharing is an assignment in the making.
type sharing struct {
	readers []*reader // by id
	topics  []*topic  // fewest readers first: they have the least choice
}

// reader is a member and what it has so far.
type reader struct {
	id   string
	load int
	by   map[*topic][]record.Partition // ascending
	via  *topic                        // of a search: how it was reached, and from whom
	from *reader
	seen int // the search that it was reached in
}

// topic is a topic that somebody reads.
type topic struct {
	name    string
	shape   Shape
	readers []*reader // by id
}

func newSharing(members []Member, topics map[string]Shape) *sharing {
	s := &sharing{}
	byName := map[string]*topic{}
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	for _, m := range sorted {
		r := &reader{id: m.ID, by: map[*topic][]record.Partition{}}
		s.readers = append(s.readers, r)
		for _, name := range slices.Compact(slices.Sorted(slices.Values(m.Topics))) {
			if topics[name].Partitions == 0 {
				continue
			}
			t := byName[name]
			if t == nil {
				t = &topic{name: name, shape: topics[name]}
				byName[name] = t
				s.topics = append(s.topics, t)
			}
			t.readers = append(t.readers, r)
		}
	}
	slices.SortFunc(s.topics, func(a, b *topic) int {
		return cmp.Or(cmp.Compare(len(a.readers), len(b.readers)), strings.Compare(a.name, b.name))
	})
	return s
}

// keep leaves partitions with their owners, where these still read the topic and it still has them.
func (s *sharing) keep(members []Member) {
	owners := claims(members, func(m *Member) []Partition { return m.Owned })
	for _, t := range s.topics {
		for n := range t.shape.Partitions {
			p := Partition{t.name, t.shape.ID, record.Partition(n)}
			id, owned := owners[p]
			if !owned {
				continue
			}
			i, reads := slices.BinarySearchFunc(t.readers, id, func(r *reader, id string) int { return strings.Compare(r.id, id) })
			if reads {
				t.readers[i].give(t, p.Number)
			}
		}
	}
}

// fill gives what nobody has to whoever has the least.
func (s *sharing) fill() {
	for _, t := range s.topics {
		taken := make([]bool, t.shape.Partitions)
		for _, r := range t.readers {
			for _, n := range r.by[t] {
				taken[n] = true
			}
		}
		for n := range taken {
			if !taken[n] {
				slices.MinFunc(t.readers, func(a, b *reader) int {
					return cmp.Or(cmp.Compare(a.load, b.load), cmp.Compare(len(a.by[t]), len(b.by[t])))
				}).give(t, record.Partition(n))
			}
		}
	}
}

// level moves partitions along chains of members, from one that has more to one that has at least two fewer,
// until there is no such chain. It always takes from the fullest, or more would move than must. Each chain makes
// the balance better, so it ends, and at a balance that no other sharing betters.
func (s *sharing) level() {
	search := 0
	for moved := true; moved; {
		moved = false
		open := slices.Clone(s.readers)
		for len(open) > 0 {
			i := fullest(open)
			r := open[i]
			search++
			end := s.lighter(r, search)
			if end == nil {
				open = slices.Delete(open, i, i+1)
				continue
			}
			shift(r, end)
			moved = true
		}
	}
}

func fullest(readers []*reader) (best int) {
	for i, r := range readers {
		if r.load > readers[best].load {
			best = i
		}
	}
	return best
}

// lighter searches, broadly, for the nearest member that a chain of moves from r leads to and that has at least
// two fewer; of equally near ones the one with the least.
func (s *sharing) lighter(r *reader, search int) *reader {
	r.seen, r.from = search, nil
	round := []*reader{r}
	for len(round) > 0 {
		var next []*reader
		var best *reader
		for _, at := range round {
			for _, t := range s.topics {
				if len(at.by[t]) == 0 {
					continue
				}
				for _, to := range t.readers {
					if to.seen == search {
						continue
					}
					to.seen, to.via, to.from = search, t, at
					next = append(next, to)
					if to.load <= r.load-2 && (best == nil || to.load < best.load) {
						best = to
					}
				}
			}
		}
		if best != nil {
			return best
		}
		round = next
	}
	return nil
}

// shift moves one partition along each link of the chain from r to end.
func shift(r, end *reader) {
	for to := end; to != r; to = to.from {
		from, t := to.from, to.via
		if to.from == r {
			t = from.richest(to)
		}
		to.give(t, from.take(t))
	}
}

// richest is the topic of which r has the most beyond what to has: so single topics are spread too.
func (r *reader) richest(to *reader) *topic {
	best := to.via
	for t, list := range r.by {
		reads := slices.Contains(t.readers, to)
		more := cmp.Compare(len(list)-len(to.by[t]), len(r.by[best])-len(to.by[best]))
		if len(list) > 0 && reads && (more > 0 || more == 0 && t.name < best.name) {
			best = t
		}
	}
	return best
}

func (r *reader) give(t *topic, n record.Partition) {
	i, _ := slices.BinarySearch(r.by[t], n)
	r.by[t] = slices.Insert(r.by[t], i, n)
	r.load++
}

// take takes the last partition of a topic away.
func (r *reader) take(t *topic) record.Partition {
	list := r.by[t]
	n := list[len(list)-1]
	r.by[t] = list[:len(list)-1]
	r.load--
	return n
}

func (r *reader) list() []Partition {
	var out []Partition
	for t, numbers := range r.by {
		for _, n := range numbers {
			out = append(out, Partition{t.name, t.shape.ID, n})
		}
	}
	slices.SortFunc(out, Compare)
	return out
}
