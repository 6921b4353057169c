package topology_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/topologytest"
)

// Goal: what is late stays late, and stream time stands where it stood, over a restart, a crash and a lost disk: in a
// task without stores, in one whose stores are in memory, and where the record that moved the time changed no row.
// Method: a record of another kind moves stream time on; the task begins again in each way; then an old record comes.
func TestStreamTimeSurvives(t *testing.T) {
	for name, again := range map[string]func(d *topologytest.Driver){
		"restart": func(d *topologytest.Driver) { d.Stop(); d.Restart() },
		"crash":   (*topologytest.Driver).Crash,
		"no disk": (*topologytest.Driver).LoseState,
	} {
		for kind, opts := range map[string][]topology.WindowStoreOption{
			"disk": nil, "memory": {topology.InMemory()}, "no changelog": {topology.InMemory(), topology.ChangelogOff()},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) { survive(t, again, opts) })
		}
	}
}

func survive(t *testing.T, again func(*topologytest.Driver), opts []topology.WindowStoreOption) {
	d := drive(t, func(b *topology.Builder) {
		counted := topology.CountWindowed(
			topology.From(b, lefts).Filter(func(_, v string) bool { return v != "move" }).GroupByKey(),
			topology.Tumbling(10*ms), topology.WindowKV("per-key", serde.String, serde.Int64, opts...))
		counted.Late().To(lateLefts)
		topology.Process(topology.From(b, Lines), func() topology.Processor[string, string, string, string] {
			return &scripted{process: func(c *stringContext, r texts) error {
				c.Forward(texts{Key: r.Key, Value: fmt.Sprint(c.StreamTime().UnixMilli()), Meta: r.Meta})
				return nil
			}}
		}).To(Upper)
	})
	at := func(ms int64) topology.Meta { return topology.Meta{Time: time.UnixMilli(ms)} }
	topologytest.SendRecord(d, lefts, texts{Key: "k", Value: "v", Meta: at(5)})
	topologytest.SendRecord(d, lefts, texts{Key: "k", Value: "move", Meta: at(1000)})
	topologytest.SendRecord(d, Lines, texts{Key: "k", Meta: at(2000)})
	d.Advance(time.Second)
	topologytest.Expect(d, Upper, topologytest.P("k", "2000"))
	again(d)
	topologytest.SendRecord(d, lefts, texts{Key: "k", Value: "old", Meta: at(6)})
	topologytest.SendRecord(d, Lines, texts{Key: "k", Meta: at(7)})
	topologytest.Expect(d, lateLefts, topologytest.P("k", "old"))
	topologytest.Expect(d, Upper, topologytest.P("k", "2000"))
}
