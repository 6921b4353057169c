package task

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstream-io/millstream/state/mem"
	"github.com/millstream-io/millstream/topology/plan"
)

// model is two stores as maps, and what the layers are compared with.
type model struct {
	t      *rapid.T
	s      *stores
	now    [2]map[string]string // as operators see them
	before [2]map[string]string // at begin
	frozen [2]map[string]string // what the database has after the next apply
}

func newModel(t *rapid.T) *model {
	m := &model{t: t, s: newStores(&plan.Sub{Stores: []*plan.Store{
		{Name: "a", Number: 0}, {Name: "b", Number: 1, InMemory: true},
	}}, 1<<20)}
	m.s.disk, m.s.memory = mem.New(), mem.New()
	for i := range m.now {
		m.now[i] = map[string]string{}
		m.before[i] = map[string]string{}
	}
	return m
}

func (m *model) pick() (int, *storeRows) {
	i := rapid.IntRange(0, 1).Draw(m.t, "store")
	return i, m.s.all[i]
}

func (m *model) key() string {
	return rapid.StringMatching(`[ab]{0,3}`).Draw(m.t, "key")
}

func (m *model) change() {
	i, r := m.pick()
	key := m.key()
	if rapid.IntRange(0, 3).Draw(m.t, "delete") == 0 {
		delete(m.now[i], key)
		m.check(r.Delete([]byte(key)))
		return
	}
	value := strings.Repeat("v", rapid.IntRange(0, 40).Draw(m.t, "size")) + fmt.Sprint(len(m.now[i]))
	m.now[i][key] = value
	m.check(r.Put([]byte(key), []byte(value)))
}

func (m *model) get() {
	i, r := m.pick()
	key := m.key()
	v, ok, err := r.Get([]byte(key))
	m.check(err)
	if want, there := m.now[i][key]; ok != there || string(v) != want {
		m.t.Fatalf("store %d: %q is %q (%t), want %q (%t)", i, key, v, ok, want, there)
	}
}

// walk goes over a range, changes rows and walks again within it, and wants what was there at its start.
func (m *model) walk(depth int) {
	i, r := m.pick()
	lo, hi := m.key(), []byte(m.key())
	if rapid.Bool().Draw(m.t, "open") {
		hi = nil
	}
	reverse := rapid.Bool().Draw(m.t, "reverse")
	stop := rapid.IntRange(1, 8).Draw(m.t, "stop")
	var want []string
	for _, k := range slices.Sorted(maps.Keys(m.now[i])) {
		if k >= lo && (hi == nil || k < string(hi)) {
			want = append(want, k+"="+m.now[i][k])
		}
	}
	if reverse {
		slices.Reverse(want)
	}
	want = want[:min(stop, len(want))]
	var got []string
	m.check(r.Range([]byte(lo), hi, reverse, func(k, v []byte) bool {
		got = append(got, string(k)+"="+string(v))
		for range rapid.IntRange(0, 2).Draw(m.t, "changes") {
			m.change()
			m.get()
		}
		if depth < 2 && rapid.IntRange(0, 3).Draw(m.t, "nested") == 0 {
			m.walk(depth + 1)
		}
		return len(got) < stop
	}))
	if !slices.Equal(got, want) {
		m.t.Fatalf("store %d: [%q, %q) reverse %t gives %q, want %q", i, lo, hi, reverse, got, want)
	}
}

func (m *model) check(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"change": func(*rapid.T) { m.change() },
		"get":    func(*rapid.T) { m.get() },
		"walk":   func(*rapid.T) { m.walk(0) },
		"begin": func(*rapid.T) {
			m.s.begin()
			for i := range m.now {
				m.before[i] = maps.Clone(m.now[i])
			}
		},
		"rollback": func(*rapid.T) {
			m.s.rollback()
			for i := range m.now {
				m.now[i] = maps.Clone(m.before[i])
			}
		},
		"freeze": func(t *rapid.T) {
			if m.s.dirty.frozen != nil || !m.s.changed() {
				t.Skip("nothing to freeze")
			}
			m.s.dirty.freeze()
			for i := range m.now {
				m.frozen[i], m.before[i] = maps.Clone(m.now[i]), maps.Clone(m.now[i])
			}
		},
		"apply": func(t *rapid.T) {
			if m.s.dirty.frozen == nil {
				t.Skip("nothing to apply")
			}
			m.check(m.s.apply([]byte("mark")))
			m.applied()
		},
	}
}

// applied fails unless the databases hold what was frozen.
func (m *model) applied() {
	for i, r := range m.s.all {
		got := map[string]string{}
		m.check(m.s.db(r.plan).Range(r.prefix[:], nil, false, func(k, v []byte) bool {
			if bytes.HasPrefix(k, r.prefix[:]) {
				got[string(k[prefixBytes:])] = string(v)
			}
			return true
		}))
		if !maps.Equal(got, m.frozen[i]) {
			m.t.Fatalf("store %d: applied %q, want %q", i, got, m.frozen[i])
		}
	}
}

// Goal: rows behave as maps whatever lies in which layer: changes within walks, walks within walks, rollback,
// freezing and applying. Method: random courses against two maps.
func TestRowsAreMaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { t.Repeat(newModel(t).actions()) })
}

// Goal: the model sees a layer that is wrong. Method: a walk that shows its own changes.
func TestRowsAreMapsControl(t *testing.T) {
	s := newStores(&plan.Sub{Stores: []*plan.Store{{Name: "a"}}}, 1<<20)
	s.disk = mem.New()
	r := s.all[0]
	if err := errors.Join(r.Put([]byte("a"), []byte("1")), r.Put([]byte("b"), []byte("2"))); err != nil {
		t.Fatal(err)
	}
	saw := ""
	err := r.Range(nil, nil, false, func(k, v []byte) bool {
		saw += string(k) + string(v)
		s.dirty.walks = 0 // as if nobody walked
		return r.Put([]byte("b"), []byte("9")) == nil
	})
	if err != nil || saw == "a1b2" {
		t.Fatalf("%v; saw %s: the change within the walk does not show", err, saw)
	}
}

// Goal: what is changed in a walk that ends with a panic, which user code recovers, is kept like any other change.
// Method: panic in a walk behind a change, then freeze.
func TestPanicInAWalk(t *testing.T) {
	s := newStores(&plan.Sub{Stores: []*plan.Store{{Name: "a"}}}, 1<<20)
	s.disk = mem.New()
	r := s.all[0]
	if err := r.Put([]byte("a"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = r.Range(nil, nil, false, func(_, _ []byte) bool {
			if err := r.Put([]byte("b"), []byte("2")); err != nil {
				t.Error(err)
			}
			panic("user code")
		})
	}()
	s.dirty.freeze()
	if err := s.apply(nil); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := r.Get([]byte("b")); err != nil || !ok || string(v) != "2" {
		t.Fatalf("%q, %t, %v", v, ok, err)
	}
}

// Goal: rows in memory are bounded by what counts. Method: rows whose values grow, and keep growing.
func TestLayerSize(t *testing.T) {
	l := newLayer()
	for n := range 2000 {
		l.put([]byte("key"), make([]byte, n))
		l.put(fmt.Appendf(nil, "key %d", n), []byte("value"))
	}
	held := 0
	for _, b := range l.arena.blocks {
		held += len(b)
	}
	if l.size() < held {
		t.Fatalf("%d bytes are counted, %d are held", l.size(), held)
	}
	if growths := l.arena.used; growths > 100_000 {
		t.Fatalf("%d bytes are used for a value of 2000 that grew, and 2000 small rows", growths)
	}
	if l.reset(); l.size() != 0 || !l.empty() {
		t.Fatalf("after a reset it counts %d", l.size())
	}
}

// What one changed row costs: a read, a write, and its share of a snapshot in memory.
func BenchmarkReadModifyWrite(b *testing.B) {
	s := newStores(&plan.Sub{Stores: []*plan.Store{{Name: "a"}}}, 1<<30)
	s.disk = mem.New()
	r := s.all[0]
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%08d", i)
	}
	value := make([]byte, 16)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		s.begin()
		k := keys[(n*40503)&(len(keys)-1)]
		if _, _, err := r.Get(k); err != nil {
			b.Fatal(err)
		}
		if err := r.Put(k, value); err != nil {
			b.Fatal(err)
		}
		if n++; n%10_000 == 0 {
			s.dirty.freeze()
			if err := s.apply(nil); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// What a walk over few rows costs, some in memory and some in the database.
func BenchmarkRange(b *testing.B) {
	s := newStores(&plan.Sub{Stores: []*plan.Store{{Name: "a"}}}, 1<<30)
	s.disk = mem.New()
	r := s.all[0]
	for i := range 1000 {
		if err := r.Put(fmt.Appendf(nil, "key-%08d", i), []byte("value")); err != nil {
			b.Fatal(err)
		}
		if i == 500 {
			s.dirty.freeze()
			if err := s.apply(nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	lo, hi := []byte("key-00000495"), []byte("key-00000505")
	n := 0
	count := func(_, _ []byte) bool { n++; return true }
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Range(lo, hi, false, count); err != nil {
			b.Fatal(err)
		}
	}
	if n%10 != 0 {
		b.Fatal(n)
	}
}
