package topology_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

var (
	lefts     = topology.NewTopic("lefts", serde.String, serde.String)
	rights    = topology.NewTopic("rights", serde.String, serde.String)
	pairsOut  = topology.NewTopic("pairs", serde.String, serde.String)
	lateLefts = topology.NewTopic("late-lefts", serde.String, serde.String)
)

func glue(l, r string) string { return l + r }

func glueLeft(l, r string, ok bool) string {
	if !ok {
		return l + "-"
	}
	return l + r
}

func joined(w topology.JoinWindows, left bool) func(b *topology.Builder) {
	return func(b *topology.Builder) {
		var lateL, lateR topology.Stream[string, string]
		l, r := topology.From(b, lefts), topology.From(b, rights)
		late := []topology.Option{topology.LateLeft(&lateL), topology.LateRight(&lateR)}
		if left {
			topology.LeftJoinStream(l, r, w, "pairs", glueLeft, late...).To(pairsOut)
		} else {
			topology.JoinStream(l, r, w, "pairs", glue, late...).To(pairsOut)
		}
		lateL.Merge(lateR).To(lateLefts)
	}
}

// Goal: records of both sides meet in either order, each pair once, within the bounds and not beyond; two
// with the same key and time are two. Method: times at the bounds.
func TestJoinStream(t *testing.T) {
	r := newRig(t, joined(topology.Within(10*ms).Grace(100*ms), false), 2)
	send(r, lefts, 100, "k", "a")
	send(r, rights, 110, "k", "1")
	send(r, rights, 111, "k", "2")
	send(r, rights, 90, "k", "3")
	send(r, rights, 89, "k", "4")
	send(r, lefts, 100, "k", "b")
	send(r, lefts, 100, "other", "c")
	send(r, rights, 100, "k", "5")
	r.want(got(r, pairsOut), "k=a1@110 k=a3@100 k=b3@100 k=b1@110 k=a5@100 k=b5@100")
	r.want(got(r, lateLefts), "")
}

// Goal: one side may be before, the other after. Method: payments that come up to 10 after their order.
func TestJoinBeforeAfter(t *testing.T) {
	r := newRig(t, joined(topology.Within(0).After(10*ms), false), 1)
	send(r, lefts, 100, "k", "a")
	send(r, rights, 99, "k", "1")
	send(r, rights, 100, "k", "2")
	send(r, rights, 110, "k", "3")
	r.want(got(r, pairsOut), "k=a2@100 k=a3@110")
	send(r, rights, 111, "k", "4")
	r.want(got(r, pairsOut), "")
}

// Goal: a record that comes when its window is over meets nobody, is counted and given out; rows do not stay
// for ever. Method: late records on both sides.
func TestJoinLate(t *testing.T) {
	r := newRig(t, joined(topology.Within(10*ms).Grace(5*ms), false), 1)
	send(r, lefts, 100, "k", "a")
	send(r, lefts, 115, "x", "on")
	send(r, rights, 100, "k", "1")
	send(r, lefts, 116, "x", "on")
	send(r, rights, 100, "k", "2")
	send(r, lefts, 100, "k", "b")
	send(r, rights, 106, "k", "3") // on time itself, but the left record at 100 is over
	r.want(got(r, pairsOut), "k=a1@100")
	r.want(got(r, lateLefts), "k=2@100 k=b@100")
	if r.late["joinStream-2"] != 2 {
		t.Errorf("late %v", r.late)
	}
	send(r, lefts, 100_000, "x", "on")
	if l, r := r.rows("pairs-left"), r.rows("pairs-right"); l != 1 || r != 0 {
		t.Errorf("%d left rows, %d right ones", l, r)
	}
}

// Goal: a left join gives a left record alone when its window is over, by time, and never one that has met
// somebody; a record without a key meets nobody at once. Method: some of each, with a restart in the middle.
func TestLeftJoinStream(t *testing.T) {
	r := newRig(t, joined(topology.Within(10*ms).Grace(5*ms), true), 1)
	send(r, lefts, 102, "k", "late")
	send(r, lefts, 100, "k", "a")
	send(r, lefts, 100, "k", "twin")
	send(r, lefts, 101, "met", "b")
	send(r, rights, 101, "met", "1")
	send(r, rights, 103, "met", "2")
	r.raw(lefts.Name, record.Record{TimestampMs: 104, Value: []byte("keyless")})
	r.raw(rights.Name, record.Record{TimestampMs: 104, Value: []byte("keyless")})
	r.want(got(r, pairsOut), "met=b1@101 met=b2@103 null=keyless-@104")
	r.restart(true)
	send(r, rights, 115, "x", "on")
	r.want(got(r, pairsOut), "")
	send(r, rights, 116, "x", "on")
	r.want(got(r, pairsOut), "k=a-@100 k=twin-@100")
	r.restart(false)
	send(r, rights, 130, "x", "on")
	r.want(got(r, pairsOut), "k=late-@102")
	send(r, rights, 100_000, "x", "on")
	if l, r := r.rows("pairs-left"), r.rows("pairs-right"); l != 0 || r != 1 {
		t.Errorf("%d left rows, %d right ones", l, r)
	}
	if r.skipped["leftJoinStream-2: null key"] != 1 {
		t.Errorf("skipped %v", r.skipped)
	}
}

// Goal: a stream joined with itself meets itself. Method: two records of one key.
func TestSelfJoin(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		s := topology.From(b, lefts)
		topology.JoinStream(s, s, topology.Within(10*ms), "self", glue).To(pairsOut)
	}, 1)
	send(r, lefts, 100, "k", "a")
	send(r, lefts, 101, "k", "b")
	r.want(got(r, pairsOut), "k=aa@100 k=ba@101 k=ab@101 k=bb@101")
}

// Goal: an error of a joiner goes to the policy, and the record it is about is not kept. Method: one that
// refuses a value.
func TestTryJoinStream(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		topology.TryLeftJoinStream(
			topology.From(b, lefts), topology.From(b, rights), topology.Within(10*ms), "pairs",
			func(_ context.Context, l, r topology.Record[string, string], ok bool) (string, error) {
				if r.Value == "bad" {
					return "", errors.New("bad")
				}
				return fmt.Sprint(l.Value, r.Value, ok, l.Time.UnixMilli(), r.Time.UnixMilli()), nil
			}, topology.OnError(topology.Skip.Always)).To(pairsOut)
	}, 1)
	send(r, lefts, 100, "k", "a")
	send(r, rights, 101, "k", "bad")
	send(r, lefts, 102, "k", "b")
	send(r, rights, 103, "k", "1")
	r.want(got(r, pairsOut), "k=a1true 100 103@103 k=b1true 102 103@103")
}

// Goal: a stream looks up a table as it is when the record comes; keys that were changed go through a
// repartition topic; records without a row are dropped, or kept by a left join. Method: orders by customer.
func TestJoinTable(t *testing.T) {
	customers := topology.KV("customers", serde.String, serde.String)
	r := newRig(t, func(b *topology.Builder) {
		table := topology.MapTableValues(topology.TableFrom(b, rights, customers), func(v string) string {
			return "<" + v + ">"
		}).Filter(func(k, _ string) bool { return k != "hidden" })
		byCustomer := topology.SelectKey(topology.From(b, lefts), serde.String,
			func(_, v string) string { return v })
		topology.JoinTable(byCustomer, table, glue).To(pairsOut)
		topology.LeftJoinTable(byCustomer, table, glueLeft).To(Upper)
	}, 4)
	send(r, lefts, 1, "1", "ada")
	send(r, rights, 2, "ada", "Lovelace")
	send(r, rights, 2, "hidden", "X")
	send(r, lefts, 3, "2", "ada")
	send(r, lefts, 3, "3", "hidden")
	tombstone(r, rights, 4, "ada")
	send(r, lefts, 5, "4", "ada")
	r.want(got(r, pairsOut), "ada=ada<Lovelace>@3")
	r.want(got(r, Upper), "ada=ada-@1 ada=ada<Lovelace>@3 hidden=hidden-@3 ada=ada-@5")
	if len(r.graph.Repartitions) != 1 || r.graph.Repartitions[0].Topic != "app-customers-join-repartition" {
		t.Errorf("repartitions %v", r.graph.Repartitions)
	}
}

// Goal: a left join with a table keeps records without a key, an inner one skips and counts them; both skip
// null values. Method: one of each.
func TestJoinTableNulls(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		table := topology.TableFrom(b, rights, topology.KV("table", serde.String, serde.String))
		s := topology.From(b, lefts)
		topology.JoinTable(s, table, glue, topology.Named("inner")).To(pairsOut)
		topology.LeftJoinTable(s, table, glueLeft, topology.Named("left")).To(Upper)
	}, 1)
	r.raw(lefts.Name, record.Record{TimestampMs: 1, Value: []byte("v")})
	tombstone(r, lefts, 2, "k")
	r.want(got(r, Upper), "null=v-@1")
	r.want(got(r, pairsOut), "")
	r.want(fmt.Sprint(r.skipped), "map[inner: null key:1 inner: null value:1 left: null value:1]")
}

// joinedTables is the three joins of the same two tables.
func joinedTables(b *topology.Builder) {
	l := topology.TableFrom(b, lefts, topology.KV("l", serde.String, serde.String))
	r := topology.TableFrom(b, rights, topology.KV("r", serde.String, serde.String))
	topology.JoinTables(l, r, glue).ToStream().To(pairsOut)
	topology.LeftJoinTables(l, r, glueLeft).ToStream().To(Upper)
	topology.OuterJoinTables(l, r, func(l, r topology.Opt[string]) string {
		return fmt.Sprint(l.Value, l.Ok, r.Value, r.Ok)
	}).ToStream().To(lateLefts)
}

// Goal: a join of tables follows both sides, deletes what loses its partner, says nothing where nothing was,
// and carries the later time. Method: rows that come and go on both sides.
func TestJoinTables(t *testing.T) {
	r := newRig(t, joinedTables, 2)
	send(r, lefts, 5, "k", "a")
	send(r, rights, 3, "k", "1")
	send(r, lefts, 4, "k", "b")
	tombstone(r, rights, 6, "k")
	tombstone(r, lefts, 7, "k")
	tombstone(r, lefts, 8, "k")
	send(r, rights, 9, "k", "2")
	r.want(got(r, pairsOut), "k=a1@5 k=b1@4 k=null@6")
	r.want(got(r, Upper), "k=a-@5 k=a1@5 k=b1@4 k=b-@6 k=null@7")
	r.want(got(r, lateLefts), "k=atruefalse@5 k=atrue1true@5 k=btrue1true@4 k=btruefalse@6 k=null@7 "+
		"k=false2true@9")
}

// Goal: the result of a join of tables can be grouped, joined and looked up. Method: count its rows by value,
// and look it up from a stream.
func TestJoinTablesOn(t *testing.T) {
	r := newRig(t, func(b *topology.Builder) {
		l := topology.TableFrom(b, lefts, topology.KV("l", serde.String, serde.String))
		rt := topology.TableFrom(b, rights, topology.KV("r", serde.String, serde.String))
		both := topology.LeftJoinTables(l, rt, glueLeft)
		topology.GroupTableBy(both, serde.String, func(_, v string) (string, string) { return v, v }).
			Count(sumStore).ToStream().To(sums)
		topology.JoinTable(topology.From(b, Lines), both, glue).To(Upper)
	}, 2)
	send(r, lefts, 1, "k", "a")
	send(r, lefts, 2, "l", "a")
	send(r, rights, 3, "k", "1")
	send(r, Lines, 4, "k", "see ")
	r.want(got(r, sums), "a-=1@1 a-=2@2 a-=1@3 a1=1@3")
	r.want(got(r, Upper), "k=see a1@4")
}
