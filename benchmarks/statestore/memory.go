package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
)

func (c settings) fullName() string {
	return fmt.Sprintf("%d databases of %d keys", c.databases, c.eachKeys)
}

func (c settings) idleName() string { return fmt.Sprintf("%d idle databases", c.databases) }

// memory takes the anonymous memory of processes that hold databases: none, empty ones, full ones.
func (c settings) memory(dir string, out *measure.Results, n int) error {
	var none figures
	for i, s := range []struct {
		name            string
		databases, keys int
	}{{"", 0, 0}, {c.idleName(), c.databases, 0}, {c.fullName(), c.databases, c.eachKeys}} {
		f, err := c.holder(filepath.Join(dir, fmt.Sprint(i)), s.databases, s.keys)
		if err != nil {
			return err
		}
		if i == 0 {
			none = f
			continue
		}
		out.Add(s.name, n, map[string]float64{
			"anon_mb": f.anonymous, "anon_mb_each": (f.anonymous - none.anonymous) / float64(s.databases),
			"idle_cpu_percent": 100 * f.cpu / f.idle, "goroutines_each": (f.goroutines - none.goroutines) / float64(s.databases),
		})
	}
	return nil
}

// figures are what a holder tells.
type figures struct{ anonymous, cpu, idle, goroutines float64 }

// holder runs a process that holds databases.
func (c settings) holder(dir string, databases, keys int) (f figures, err error) {
	idle := 3 * time.Second
	if c.Quick {
		idle = 20 * time.Millisecond
	}
	cmd := exec.Command(c.self, "-dir", dir, "-value", fmt.Sprint(c.valueBytes), "-commit", idle.String(),
		"-hold", fmt.Sprintf("%d/%d", databases, keys))
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, os.Stderr
	if err := cmd.Run(); err != nil {
		return f, err
	}
	_, err = fmt.Sscan(text.String(), &f.anonymous, &f.cpu, &f.idle, &f.goroutines)
	return f, err
}

// holdDatabases is what such a process does: it fills databases with small commits in turn, is idle for a while
// (the time between commits), and tells its memory in MB, the processor time meanwhile in seconds, and how long
// that was.
func holdDatabases(c settings, what string, out io.Writer) error {
	var databases, keys int
	if _, err := fmt.Sscanf(what, "%d/%d", &databases, &keys); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return err
	}
	states, err := statedb.OpenStates(statedb.Options{Dir: c.Dir})
	if err != nil {
		return err
	}
	var all []state.StateDB
	for i := range databases {
		db, err := states.Open(fmt.Sprintf("app/0_%d", i))
		if err != nil {
			return errors.Join(err, states.Close())
		}
		all = append(all, db)
	}
	const rows = 100
	for at := 0; at < keys; at += rows {
		for _, db := range all {
			if err := c.fillSome(db, at, min(at+rows, keys)); err != nil {
				return errors.Join(err, states.Close())
			}
		}
	}
	f, err := rest(c.commit)
	fmt.Fprintln(out, f.anonymous, f.cpu, f.idle, f.goroutines)
	return errors.Join(err, states.Close())
}

func (c settings) fillSome(db state.StateDB, from, to int) error {
	var rows []state.StateRow
	for n := from; n < to; n++ {
		value := make([]byte, c.valueBytes)
		measure.Fill(value, uint64(n))
		rows = append(rows, state.StateRow{Key: key(nil, uint64(n)), Value: value})
	}
	return db.Apply(rows, nil)
}

// rest does nothing for a while and tells what that cost.
func rest(idle time.Duration) (f figures, err error) {
	before, err1 := measure.CPU(os.Getpid())
	<-time.After(idle)
	after, err2 := measure.CPU(os.Getpid())
	anonymous, err3 := measure.AnonymousMemory(os.Getpid())
	return figures{
		anonymous: float64(anonymous) / (1 << 20), cpu: (after - before).Seconds(), idle: idle.Seconds(),
		goroutines: float64(runtime.NumGoroutine()),
	}, errors.Join(err1, err2, err3)
}
