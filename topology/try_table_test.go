package topology_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

var errPoison = errors.New("it is poison")

// sound fails where one of the values is poison.
func sound(values ...string) error {
	for _, v := range values {
		if strings.HasPrefix(v, "poison") {
			return errPoison
		}
	}
	return nil
}

var (
	leftRows  = topology.KV("left-rows", serde.String, serde.String)
	rightRows = topology.KV("right-rows", serde.String, serde.String)
	skipped   = topology.OnError(topology.Skip.Always)
)

// Goal: a row for which a Try form of a table fails is not in the result: what was there is deleted, nothing is taken
// out of a group that was never brought in, a join finds none, and the next good value is there again. Method: a map
// with a count by value behind it, and a look-up in it; good, bad, bad, good.
func TestTryMapTableValues(t *testing.T) {
	asked := 0
	r := newRig(t, func(b *topology.Builder) {
		table := topology.TryMapTableValues(topology.TableFrom(b, lefts, leftRows),
			func(_ context.Context, k, v string) (string, error) { return k + v, sound(v) },
			topology.OnError(func(context.Context, *topology.RecordError) topology.Decision {
				asked++
				return topology.Skip
			}))
		table.ToStream().To(Upper)
		topology.GroupTableBy(table, serde.String, func(_, v string) (string, string) { return "all", v }).
			Count(sumStore).ToStream().To(sums)
		topology.LeftJoinTable(topology.From(b, rights), table, glueLeft).To(pairsOut)
	}, 1)
	for i, v := range []string{"1", "poison", "poison2", "2"} {
		send(r, lefts, int64(i), "k", v)
		send(r, rights, int64(i), "k", "look")
	}
	tombstone(r, lefts, 4, "k")
	r.want(got(r, Upper), "k=k1@0 k=null@1 k=null@2 k=k2@3 k=null@4")
	r.want(got(r, pairsOut), "k=lookk1@0 k=look-@1 k=look-@2 k=lookk2@3")
	r.want(got(r, sums), "all=1@0 all=0@1 all=1@3 all=0@4")
	if asked != 2 {
		t.Errorf("the policy was asked %d times, want once for each bad value", asked)
	}
}

// Goal: the Try forms of joins of tables are the plain ones where nothing fails, and have no row where the function
// does, on whichever side the poison is. Method: both forms on the same rows; what comes out is compared, and told.
func TestTryJoinTables(t *testing.T) {
	type (
		table = topology.Table[string, string]
		opt   = topology.Opt[string]
	)
	outer := func(l, r opt) string { return l.Value + "|" + r.Value }
	for name, c := range map[string]struct {
		plain, try func(l, r table) table
		poisoned   string
	}{
		"inner": {
			func(l, r table) table { return topology.JoinTables(l, r, glue) },
			func(l, r table) table {
				return topology.TryJoinTables(l, r, func(_ context.Context, _, l, r string) (string, error) {
					return glue(l, r), sound(l, r)
				}, skipped)
			}, "k=ab@2 k=null@3 k=ac@4 k=null@5",
		},
		"left": {
			func(l, r table) table { return topology.LeftJoinTables(l, r, glueLeft) },
			func(l, r table) table {
				return topology.TryLeftJoinTables(l, r,
					func(_ context.Context, _, l, r string, ok bool) (string, error) {
						return glueLeft(l, r, ok), sound(l, r)
					}, skipped)
			}, "k=a-@0 k=null@1 k=ab@2 k=null@3 k=ac@4 k=null@5",
		},
		"outer": {
			func(l, r table) table { return topology.OuterJoinTables(l, r, outer) },
			func(l, r table) table {
				return topology.TryOuterJoinTables(l, r, func(_ context.Context, k string, l, r opt) (string, error) {
					return outer(l, r), sound(l.Value, r.Value)
				}, skipped)
			}, "k=a|@0 k=null@1 k=a|b@2 k=null@3 k=a|c@4 k=|c@5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			play := func(join func(l, r table) table, poison string) string {
				r := newRig(t, func(b *topology.Builder) {
					join(topology.TableFrom(b, lefts, leftRows), topology.TableFrom(b, rights, rightRows)).
						ToStream().To(pairsOut)
				}, 2)
				send(r, lefts, 0, "k", "a")
				send(r, rights, 1, "k", poison)
				send(r, rights, 2, "k", "b")
				send(r, lefts, 3, "k", poison)
				send(r, rights, 3, "k", "c")
				send(r, lefts, 4, "k", "a")
				tombstone(r, lefts, 5, "k")
				return got(r, pairsOut)
			}
			if plain, try := play(c.plain, "x"), play(c.try, "x"); plain != try {
				t.Errorf("plain %s\ntry   %s", plain, try)
			}
			if got := strings.ReplaceAll(play(c.try, "poison"), "k=null@3 k=null@3", "k=null@3"); got != c.poisoned {
				t.Errorf("poisoned %s\nwant     %s", got, c.poisoned)
			}
		})
	}
}

// Goal: TryReduceTable is Reduce where nothing fails, and a change that fails changes nothing. Method: both on the same
// rows; then poison.
func TestTryReduceTable(t *testing.T) {
	play := func(try bool, values ...string) string {
		add := func(sum, v string) string { return sum + v }
		sub := func(sum, v string) string { return strings.Replace(sum, v, "", 1) }
		r := newRig(t, func(b *topology.Builder) {
			g := topology.GroupTableBy(topology.TableFrom(b, lefts, leftRows), serde.String,
				func(k, v string) (string, string) { return "all", v })
			reduced := func() topology.Table[string, string] {
				if !try {
					return g.Reduce(add, sub, memory)
				}
				type row = topology.Record[string, string]
				return topology.TryReduceTable(g,
					func(_ context.Context, sum string, r row) (string, error) { return add(sum, r.Value), sound(r.Value) },
					func(_ context.Context, sum string, r row) (string, error) { return sub(sum, r.Value), nil },
					memory, skipped)
			}()
			reduced.ToStream().To(pairsOut)
		}, 1)
		for i, v := range values {
			send(r, lefts, int64(i), string('k'+rune(i%2)), v)
		}
		return got(r, pairsOut)
	}
	if plain, try := play(false, "a", "b", "c", "d"), play(true, "a", "b", "c", "d"); plain != try || plain == "" {
		t.Errorf("plain %s\ntry   %s", plain, try)
	}
	if got, want := play(true, "a", "b", "poison", "d"), "all=a@0 all=ab@1 all=ad@3"; got != want {
		t.Errorf("poisoned %s\nwant     %s", got, want)
	}
}

// Goal: the Try forms of joins with a stream give whole records to the function, the result of the plain forms, and no
// result where the function fails; the policy decides, and Fail ends the task with the node's name. Method: plain and
// Try forms on the same records, with poison that is skipped, and then without a policy.
func TestTryStreamJoins(t *testing.T) {
	type (
		row    = topology.Record[string, string]
		stream = topology.Stream[string, string]
	)
	whole := func(l row) error {
		if l.Offset >= 0 && l.Topic != lefts.Name || l.Key != "k" { // one that was kept has no offset
			return errors.New("not the record that came")
		}
		return sound(l.Value)
	}
	for name, join := range map[string]func(l, r stream, try bool, o ...topology.Option) stream{
		"joinStream": func(l, r stream, try bool, o ...topology.Option) stream {
			if !try {
				return topology.JoinStream(l, r, topology.Within(10*ms), "j", glue)
			}
			return topology.TryJoinStream(l, r, topology.Within(10*ms), "j",
				func(_ context.Context, l, r row) (string, error) { return glue(l.Value, r.Value), whole(l) }, o...)
		},
		"joinTable": func(l, r stream, try bool, o ...topology.Option) stream {
			if !try {
				return topology.JoinTable(l, r.ToTable(rightRows), glue)
			}
			return topology.TryJoinTable(l, r.ToTable(rightRows),
				func(_ context.Context, l row, r string) (string, error) { return glue(l.Value, r), whole(l) }, o...)
		},
		"leftJoinTable": func(l, r stream, try bool, o ...topology.Option) stream {
			if !try {
				return topology.LeftJoinTable(l, r.ToTable(rightRows), glueLeft)
			}
			return topology.TryLeftJoinTable(l, r.ToTable(rightRows),
				func(_ context.Context, l row, r string, ok bool) (string, error) {
					return glueLeft(l.Value, r, ok), whole(l)
				}, o...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			play := func(try bool, poison string, o ...topology.Option) *rig {
				r := newRig(t, func(b *topology.Builder) {
					join(topology.From(b, lefts), topology.From(b, rights), try, o...).To(pairsOut)
				}, 1)
				if poison == "" {
					send(r, lefts, 0, "k", "first")
				}
				send(r, rights, 1, "k", "1")
				send(r, lefts, 2, "k", "a")
				send(r, lefts, 3, "k", "b")
				return r
			}
			plain, try := play(false, ""), play(true, "", skipped)
			if p := got(plain, pairsOut); p == "" || got(try, pairsOut) != p {
				t.Errorf("the Try form differs from %s", p)
			}
			r := play(true, "no")
			before := got(r, pairsOut)
			r.push(lefts.Name, record.Record{Key: []byte("k"), Value: []byte("poison"), TimestampMs: 4})
			var failed *topology.RecordError
			if err := r.run(); !errors.As(err, &failed) || !errors.Is(err, errPoison) || failed.Stage != topology.StageProcess {
				t.Errorf("poison ends with %v", err)
			}
			r = play(true, "no", skipped)
			send(r, lefts, 4, "k", "poison")
			r.want(got(r, pairsOut), before)
		})
	}
}
