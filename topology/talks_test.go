package topology_test

import (
	"testing"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

type (
	account struct{ Customer string }
	buy     struct{ Customer string }
	payment struct{ Cents int64 }
	paid    struct {
		Buy      buy
		Payment  payment
		Customer string
	}
	customer struct{ Name string }
	metric   struct {
		DC   string
		Load int64
	}
)

func jsonTopic[V any](name string) topology.Topic[string, V] {
	return topology.NewTopic(name, serde.String, serde.JSON[V]())
}

// Goal: accounts get another key, and nothing is written between. Method: the talk's example.
func TestAccountsRekeyed(t *testing.T) {
	accounts, byCustomer := jsonTopic[account]("accounts"), jsonTopic[account]("by-customer")
	r := newRig(t, func(b *topology.Builder) {
		topology.SelectKey(topology.From(b, accounts), serde.String,
			func(_ string, a account) string { return a.Customer }).To(byCustomer)
	}, 2)
	send(r, accounts, 1, "1", account{"ada"})
	r.want(got(r, byCustomer), "ada={ada}@1")
	if len(r.graph.Subs) != 1 {
		t.Errorf("%d sub-topologies", len(r.graph.Subs))
	}
}

// Goal: orders meet their payments within ten minutes, and the result its customer. Method: the talk's example,
// with a stream of structs that needs a serde on its way to the second join.
func TestOrdersPaymentsCustomers(t *testing.T) {
	buys, pays := jsonTopic[buy]("buys"), jsonTopic[payment]("pays")
	people, out := jsonTopic[customer]("people"), jsonTopic[paid]("paid")
	seen := 0
	r := newRig(t, func(b *topology.Builder) {
		custs := topology.TableFrom(b, people, topology.KV("customers", serde.String, serde.JSON[customer]()))
		matched := topology.JoinStream(topology.From(b, buys), topology.From(b, pays),
			topology.Within(10*time.Minute).Grace(time.Minute), "orders-payments",
			func(o buy, p payment) paid { return paid{Buy: o, Payment: p} }).
			WithSerdes(nil, serde.JSON[paid]())
		byCust := topology.SelectKey(matched, serde.String, func(_ string, p paid) string { return p.Buy.Customer })
		topology.LeftJoinTable(byCust, custs, func(p paid, c customer, ok bool) paid {
			if p.Customer = "unknown"; ok {
				p.Customer = c.Name
			}
			return p
		}).Peek(func(string, paid) { seen++ }).To(out)
	}, 3)
	minute := time.Minute.Milliseconds()
	send(r, people, 0, "c1", customer{"Ada"})
	send(r, buys, minute, "o1", buy{"c1"})
	send(r, buys, minute, "o2", buy{"c2"})
	send(r, pays, 5*minute, "o1", payment{500})
	send(r, pays, 11*minute, "o2", payment{700})
	send(r, pays, 12*minute, "o2", payment{900})
	r.want(got(r, out), "c1={{c1} {500} Ada}@300000 c2={{c2} {700} unknown}@660000")
	if seen != 2 {
		t.Errorf("%d seen", seen)
	}
}

// Goal: the load of each data centre follows its machines. Method: the talk's metrics example.
func TestMetricsTable(t *testing.T) {
	metrics := jsonTopic[metric]("metrics")
	r := newRig(t, func(b *topology.Builder) {
		m := topology.TableFrom(b, metrics, topology.KV("metrics", serde.String, serde.JSON[metric]()))
		topology.GroupTableBy(m, serde.String, func(_ string, m metric) (string, int64) { return m.DC, m.Load }).
			Reduce(plus, minus, sumStore).ToStream().To(sums)
	}, 3)
	send(r, metrics, 1, "m1", metric{"ams", 5})
	send(r, metrics, 2, "m2", metric{"ams", 7})
	send(r, metrics, 3, "m1", metric{"ams", 6})
	send(r, metrics, 4, "m2", metric{"lon", 7})
	r.want(got(r, sums), "ams=5@1 ams=12@2 ams=13@3 ams=6@4 lon=7@4")
}
