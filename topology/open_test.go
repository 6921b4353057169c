package topology_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// stateful is a processor with a store: it says what was stored for a key, and stores the value.
type stateful struct {
	store topology.Store[string, string]
	rows  *topology.KeyValue[string, string]
	do    func(s *stateful, c *stringContext, r texts) error
}

func (s *stateful) Init(c *stringContext) (err error) {
	s.rows, err = topology.Open(c, s.store)
	return err
}

func (s *stateful) Process(c *stringContext, r texts) error { return s.do(s, c, r) }
func (s *stateful) Close() error                            { return nil }

var memory = topology.KV("memory", serde.String, serde.String)

func remember(s *stateful, c *stringContext, r texts) error {
	before, at, ok, err := s.rows.GetAt(r.Key)
	if err != nil {
		return err
	}
	if ok {
		c.Forward(texts{Key: r.Key, Value: fmt.Sprint(before, "@", at.UnixMilli()), Meta: r.Meta})
	}
	if r.NullValue {
		return s.rows.Delete(r.Key)
	}
	return s.rows.Put(r.Key, r.Value)
}

// connected is a topology with one processor on a store.
func connected(
	do func(s *stateful, c *stringContext, r texts) error, opts ...topology.Option,
) func(*topology.Builder) {
	return func(b *topology.Builder) {
		topology.Process(topology.From(b, Lines), func() topology.Processor[string, string, string, string] {
			return &stateful{store: memory, do: do}
		}, opts...).To(Upper)
	}
}

// Goal: a processor reads and writes its store, and sees what it wrote in a life before. Method: a restart in
// the middle.
func TestProcessorStore(t *testing.T) {
	r := newRig(t, connected(remember, topology.Using(memory)), 1)
	send(r, Lines, 5, "k", "a")
	send(r, Lines, 3, "k", "b")
	r.restart(true)
	send(r, Lines, 9, "k", "c")
	tombstone(r, Lines, 10, "k")
	send(r, Lines, 11, "k", "d")
	r.want(got(r, Upper), "k=a@5@3 k=b@5@9 k=c@9@10")
}

// Goal: ranges give rows in the order of keys, forwards and backwards, between bounds, and take changes
// meanwhile. Method: a command for each.
func TestProcessorRange(t *testing.T) {
	list := func(e *topology.Entries[string, string], backwards bool) (string, error) {
		rows, found := e.Rows(), ""
		if backwards {
			rows = e.Backwards()
		}
		for k, v := range rows {
			found += k + v + " "
		}
		return strings.TrimSpace(found), e.Err()
	}
	r := newRig(t, connected(func(s *stateful, c *stringContext, r texts) error {
		var found string
		var err error
		switch r.Key {
		case "all":
			found, err = list(s.rows.All(), false)
		case "back":
			found, err = list(s.rows.Range("b", "d"), true)
		case "first":
			for k := range s.rows.Range("a", "z").Rows() {
				found = k
				break
			}
		case "clear":
			e := s.rows.All()
			for k := range e.Rows() {
				if err := s.rows.Delete(k); err != nil {
					return err
				}
			}
			err = e.Err()
		default:
			return s.rows.Put(r.Key, r.Value)
		}
		c.Forward(texts{Key: r.Key, Value: found, Meta: r.Meta})
		return err
	}, topology.Using(memory)), 1)
	for _, k := range []string{"c", "a", "d", "b", "all", "back", "first", "clear", "all"} {
		send(r, Lines, 1, k, strings.ToUpper(k))
	}
	r.want(got(r, Upper), "all=aA bB cC dD@1 back=cC bB@1 first=a@1 clear=@1 all=@1")
}

// Goal: a store that the processor is not connected to does not open, and the error says what to do. Method:
// a processor without Using.
func TestOpenUnconnected(t *testing.T) {
	b := topology.NewBuilder("app")
	connected(remember)(b)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	k := &rigTask{r: &rig{t: t}, sub: topo.Graph().Subs[0]}
	inst, err := topo.Graph().Subs[0].Open(k)
	if err != nil {
		t.Fatal(err)
	}
	err = inst.Init()
	if err == nil || !strings.Contains(err.Error(), `opens store "memory", which it is not connected to`) {
		t.Errorf("error %v", err)
	}
	var failed *topology.RecordError
	if !errors.As(err, &failed) || failed.Node.Name != "process-1" {
		t.Errorf("error %v names no node", err)
	}
}

// Goal: a processor reads the store of an operator, in the same task, and two processors share one. Method: a
// table beside a processor on another topic.
func TestSharedStore(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		look := func(s *stateful, c *stringContext, r texts) error {
			v, ok, err := s.rows.Get(r.Value)
			c.Forward(texts{Key: r.Key, Value: fmt.Sprint(v, ok), Meta: r.Meta})
			return err
		}
		for _, out := range []topology.Topic[string, string]{Upper, pairsOut} {
			topology.Process(topology.From(b, Lines), func() topology.Processor[string, string, string, string] {
				return &stateful{store: memory, do: look}
			}, topology.Using(memory)).To(out)
		}
		topology.TableFrom(b, rights, memory)
	}, 1)
	send(r, Lines, 1, "1", "k")
	send(r, rights, 2, "k", "v")
	send(r, Lines, 3, "2", "k")
	r.want(got(r, Upper), "1=false@1 2=vtrue@3")
	r.want(got(r, pairsOut), "1=false@1 2=vtrue@3")
	if g := r.graph.Subs[0].CoPartitioned; len(g) != 1 || len(g[0]) != 2 {
		t.Errorf("co-partitioned %v", g)
	}
	if len(r.graph.Subs) != 1 || len(r.graph.Stores) != 1 || len(r.graph.Stores[0].Node.Stores) != 1 {
		t.Errorf("%d sub-topologies, stores %v", len(r.graph.Subs), r.graph.Stores)
	}
}
