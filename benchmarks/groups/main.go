package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/server"
)

// settings say how large groups are.
type settings struct {
	measure.Settings
	members    int
	partitions int
	more       int // partitions that are made at once
	idleGroups int
	idle       time.Duration // how long they are watched
	consumers  int           // that commit
	commit     time.Duration // how long they do so
	crash      bool          // also cut a member off, which takes its session timeout

	member, peer string // binaries
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "kfake" { // the peer, in a process of its own
		if err := server.Kfake(os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "kfake:", err)
			os.Exit(1)
		}
		return
	}
	var c settings
	c.Register(flag.CommandLine)
	flag.IntVar(&c.members, "members", 10, "members of the group")
	flag.IntVar(&c.partitions, "partitions", 100, "partitions that it reads")
	flag.IntVar(&c.more, "more", 900, "partitions that are made while it reads")
	flag.IntVar(&c.idleGroups, "idle-groups", 1000, "groups that do nothing")
	flag.DurationVar(&c.idle, "idle", 10*time.Second, "how long they are watched")
	flag.IntVar(&c.consumers, "consumers", 100, "members that commit")
	flag.DurationVar(&c.commit, "commit", 10*time.Second, "how long they do so")
	flag.BoolVar(&c.crash, "crash", true, "cut a member off too")
	measure.Main(func(out io.Writer) error { return run(c, out) })
}

const (
	ours   = "millstream"
	theirs = "kfake"
)

func run(c settings, w io.Writer) error {
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.members, c.partitions, c.more, c.idleGroups, c.consumers = 3, 6, 4, 10, 4
		c.idle, c.commit, c.crash = 100*time.Millisecond, 100*time.Millisecond, false
	}
	if c.member == "" {
		dir, err := os.MkdirTemp("", "groups-bin-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		var err1, err2 error
		c.member, err1 = server.Build(dir, "./cmd/millstream")
		c.peer, err2 = os.Executable()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
	}
	out := measure.NewResults(w, "consumer groups", c.Dir)
	for n := range c.Repetitions {
		if err := c.repetition(out, n); err != nil {
			return err
		}
	}
	out.Table()
	for _, figure := range []string{"leave_ms", "crash_ms", "grow_ms"} {
		out.Ratio(figure, ours+"/rebalance", theirs+"/rebalance", "")
	}
	out.Ratio("commits_per_s", ours+"/commit", theirs+"/commit", "")
	none, all := out.MedianOf(c.idleName(0), "anon_mb"), out.MedianOf(c.idleName(c.idleGroups), "anon_mb")
	out.Note("an idle group of one member: (%.1f − %.1f) MB / %d = %.1f KB", all, none, c.idleGroups,
		(all-none)*1024/float64(c.idleGroups))
	out.Bar("cpu_s_in_10", c.idleName(c.idleGroups), "")
	return nil
}

func (c settings) idleName(groups int) string { return fmt.Sprintf("%s/idle/groups=%d", ours, groups) }

// repetition measures both servers, in turns which of them is first, each step on a server of its own.
func (c settings) repetition(out *measure.Results, n int) error {
	commands := map[string][]string{ours: server.Command(c.member, "--groups-rebalance-delay", "0s"), theirs: {c.peer, "kfake"}}
	names := []string{ours, theirs}
	for i := range names {
		name := names[(i+n)%2]
		steps := map[string]func(*server.Process) (map[string]float64, error){
			"/rebalance": c.rebalances, "/commit": c.commits,
		}
		for _, step := range []string{"/rebalance", "/commit"} {
			if err := c.on(commands[name], func(p *server.Process) error {
				figures, err := steps[step](p)
				if err == nil {
					out.Add(name+step, n, figures)
				}
				return err
			}); err != nil {
				return fmt.Errorf("%s%s: %w", name, step, err)
			}
		}
	}
	for _, groups := range []int{0, c.idleGroups} {
		if err := c.on(commands[ours], func(p *server.Process) error {
			figures, err := c.idlers(p, groups)
			if err == nil {
				out.Add(c.idleName(groups), n, figures)
			}
			return err
		}); err != nil {
			return fmt.Errorf("%d idle groups: %w", groups, err)
		}
	}
	return nil
}

// on runs a server on a directory of its own.
func (c settings) on(command []string, do func(*server.Process) error) error {
	data, err := os.MkdirTemp(c.Dir, "groups-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	p, err := server.Start(append(append([]string(nil), command...), data))
	if err != nil {
		return err
	}
	defer p.Kill()
	return do(p)
}
