package main

import (
	"context"
	"errors"
	"os"

	"github.com/millstream-io/millstream/benchmarks/drive"
	"github.com/millstream-io/millstream/benchmarks/load"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

// way is one way to drive a server.
type way struct {
	name      string
	producers int
	size      int // bytes of a value
	oneByOne  bool

	bars map[string]string // what figures have to be: of the member, or as a ratio to the peer
}

var ways = []way{
	{name: "produce/1x1/1KB", producers: 1, size: 1000, bars: map[string]string{
		"rate_per_s": "≥ 1.0", "server_cpu_s_per_m": "≤ 3.0",
		"consume_per_s": "≥ 1.7", "consume_cpu_s_per_m": "≤ 0.9",
	}},
	{name: "produce/8x8/1KB", producers: 8, size: 1000, bars: map[string]string{
		"rate_per_s": "≥ 1.2", "server_cpu_s_per_m": "≤ 3.0",
	}},
	{name: "produce/1x1/100B", producers: 1, size: 100, bars: map[string]string{"rate_per_s": "≥ 1.5"}},
	{name: "produce/8x8/100B", producers: 8, size: 100, bars: map[string]string{
		"rate_per_s": "≥ 3", "server_cpu_s_per_m": "≤ 0.7",
	}},
	{name: "publish/one-at-a-time/100B", producers: 1, size: 100, oneByOne: true,
		bars: map[string]string{"p50_ms": "≤ 1.1"}},
}

// subject is a server that is measured; its data directory is its last argument.
type subject struct {
	name    string
	command []string
}

const (
	memberName = "millstream"
	peerName   = "kfake-sync"
)

func subjects(member, peer string) []subject {
	return []subject{
		{memberName, server.Command(member, "--log-level", "info", "--topics-auto-create")},
		{peerName, []string{peer, "kfake"}},
	}
}

// drive says how the shared driver drives a server this way.
func (c settings) drive(l way) drive.Load {
	return drive.Load{
		Producers: l.producers, ValueBytes: l.size, OneByOne: l.oneByOne, WarmUp: c.warmUp, For: c.seconds,
	}
}

func driven(p *server.Process) drive.Server {
	return drive.Server{Door: load.Kafka{Brokers: []string{p.Kafka}}, Pid: p.Pid(), Ordered: true}
}

// measure runs one load on one server, in a process and a directory of its own.
func (c settings) measure(out *measure.Results, s subject, l way, n int) error {
	return c.serve(s, func(p *server.Process) error {
		figures, err := drive.Produce(context.Background(), driven(p), c.drive(l))
		var invalid *drive.Invalid
		if errors.As(err, &invalid) {
			figures["INVALID"] = 1
			out.Note("%s %s: %v", s.name, l.name, invalid)
		} else if err != nil {
			return err
		}
		out.Add(s.name+"/"+l.name, n, figures)
		return nil
	})
}

// serve runs a server for use.
func (c settings) serve(s subject, use func(*server.Process) error) error {
	data, err := os.MkdirTemp(c.Dir, "kafkapath-"+s.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	p, err := server.Start(append(s.command[:len(s.command):len(s.command)], data))
	if err != nil {
		return err
	}
	defer p.Kill() // its directory goes with it
	return use(p)
}

// conclude prints a load's ratios and what they have to be.
func conclude(out *measure.Results, l way) {
	ours, theirs := memberName+"/"+l.name, peerName+"/"+l.name
	for _, figure := range []string{"rate_per_s", "p50_ms", "consume_per_s"} {
		if out.MedianOf(theirs, figure) != 0 {
			out.Ratio(figure, ours, theirs, l.bars[figure])
		}
	}
	for _, figure := range []string{"server_cpu_s_per_m", "consume_cpu_s_per_m"} {
		out.Bar(figure, ours, l.bars[figure])
		out.Ratio(figure, ours, theirs, "")
	}
	if out.MedianOf(splitName(l), everything+"_cpu_s_per_m") == 0 {
		return // it was not profiled
	}
	for _, p := range append(parts, everything) {
		out.Bar(p+"_cpu_s_per_m", splitName(l), "")
	}
}
