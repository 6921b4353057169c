package main

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/millstream-io/millstream/benchmarks/drive"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/raw"
	"github.com/millstream-io/millstream/benchmarks/server"
)

// trial is one way to drive servers.
type trial struct {
	name  string
	only  []string // servers, where not all are driven
	own   []peer   // subjects beside, or instead of, the servers
	alone bool     // without the servers
	load  drive.Load
	how   func(context.Context, drive.Server, drive.Load) (map[string]float64, error)
	bars  []bar
}

func (t trial) subject(s peer) string { return t.name + "/" + s.durability + "/" + s.name }

// rotate calls each for every subject of the trial, another one first with every repetition.
func (t trial) rotate(n int, servers []peer, each func(peer)) {
	subjects := append([]peer(nil), t.own...)
	if !t.alone {
		subjects = append(subjects, servers...)
	}
	for i := range subjects {
		if s := subjects[(i+n)%len(subjects)]; t.only == nil || slices.Contains(t.only, s.name) {
			each(s)
		}
	}
}

// do drives one subject.
func (t trial) do(c settings, s peer) (figures map[string]float64, err error) {
	if s.name == rawDisk {
		return c.rawSync()
	}
	if t.alone {
		return c.transform(s)
	}
	l := t.load
	l.WarmUp, l.For = c.warmUp, c.seconds
	if l.Rate > 0 {
		l.Rate = c.rate
	}
	l.Records = c.records / int64(l.Producers)
	err = c.with(s.start, func(p *server.Process) (err error) {
		figures, err = t.how(context.Background(), s.driven(p), l)
		return err
	})
	return figures, err
}

// rawDisk is what the disk itself does in the same run.
const rawDisk = "raw-fdatasync"

// rawSync appends blocks of 4 KB to a plain file and makes each durable.
func (c settings) rawSync() (map[string]float64, error) {
	const block, blocks = 4096, 2000
	n := blocks
	if c.Quick {
		n = 20
	}
	took, err := raw.Append(filepath.Join(c.Dir, "peers-raw"), block, n, 1)
	figures := map[string]float64{}
	measure.Latencies(figures, took)
	return figures, err
}

var trials = []trial{
	{
		name: "produce/1KB/1x1", load: drive.Load{Producers: 1, ValueBytes: 1000}, how: drive.Produce,
		bars: append(rates("1.0", "2.5", "30"), atMost("server_cpu_s_per_m", millKafka, 3.0), doors),
	},
	{
		name: "produce/1KB/8x8", load: drive.Load{Producers: 8, ValueBytes: 1000}, how: drive.Produce,
		bars: append(rates("1.2", "1.5", "15"), atMost("server_cpu_s_per_m", millKafka, 3.0), doors),
	},
	{
		name: "produce/100B/1x1", load: drive.Load{Producers: 1, ValueBytes: 100}, how: drive.Produce,
		bars: append(rates("1.5", "1.7", ""), doors),
	},
	{
		name: "produce/100B/8x8", load: drive.Load{Producers: 8, ValueBytes: 100}, how: drive.Produce,
		bars: append(rates("3", "2.2", ""), doors),
	},
	{
		name: "publish-one/100B", load: drive.Load{Producers: 1, ValueBytes: 100, OneByOne: true}, how: drive.Produce,
		own: []peer{{name: rawDisk, durability: fsync}},
		bars: []bar{
			{figure: "p50_ms", of: millKafka, to: kfakeSync, most: 1.1},
			{figure: "p50_ms", of: millKafka, to: rawDisk, most: 3.5},
			{figure: "p50_ms", of: millKafka, to: redisAlways}, {figure: "p50_ms", of: millKafka, to: jsAlways},
			{figure: "p50_ms", of: millGRPC, to: millKafka},
		},
	},
	{
		name: "consume/1KB/1x1", load: drive.Load{Producers: 1, ValueBytes: 1000}, how: drive.Consume,
		bars: []bar{
			{figure: "consume_per_s", of: millKafka, to: kfakeSync, least: 1.7},
			{figure: "consume_per_s", of: millKafka, to: redisSecond, other: pageCache, least: 1.5},
			{figure: "consume_per_s", of: millKafka, to: jsDefault, other: pageCache, least: 2.7},
			atMost("consume_cpu_s_per_m", millKafka, 0.9),
			{figure: "consume_per_s", of: millGRPC, to: millKafka},
		},
		only: []string{millKafka, millGRPC, kfakeSync, redisSecond, jsDefault},
	},
	{
		name: "end-to-end/1KB", load: drive.Load{Producers: 1, ValueBytes: 1000, Rate: 1}, how: drive.EndToEnd,
		bars: []bar{
			{figure: "p50_ms", of: millKafka, to: redisAlways, most: 0.75},
			{figure: "p99_ms", of: millKafka, to: kfakeSync, most: 0.7},
			{figure: "p50_ms", of: millGRPC, to: millKafka},
			{figure: "p50_ms", of: millLoose, to: redisSecond, durability: pageCache},
			{figure: "p50_ms", of: millLoose, to: jsDefault, durability: pageCache},
			{figure: "server_cpu_s_per_m", of: millKafka, to: redisAlways},
			{figure: "server_cpu_s_per_m", of: millKafka, to: kfakeSync},
		},
	},
	{
		name: "text-transformer", alone: true,
		own: []peer{{name: topologyOnMember, durability: fsync}, {name: loopOnMember, durability: fsync}},
		bars: []bar{{figure: "rate_per_s", of: topologyOnMember, to: loopOnMember, least: 1.5},
			{figure: "all_cpu_s_per_m", of: topologyOnMember, to: loopOnMember}},
	},
}
