package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/cluster/client"
)

func (c settings) fullName() string { return fmt.Sprintf("%d tasks of %d keys", c.tasks, c.eachKeys) }

func (c settings) idleName() string { return fmt.Sprintf("%d idle tasks", c.tasks) }

// noTasks is the number of keys of a holder that runs no topology.
const noTasks = -1

// memory takes the anonymous memory of members: one with the same topic and no tasks, one with tasks that have
// nothing, and one with tasks that have keys. What a task costs includes its partition of the changelog.
func (c settings) memory(dir string, out *measure.Results, n int) error {
	var none float64
	for i, s := range []struct {
		name string
		keys int
	}{{"", noTasks}, {c.idleName(), 0}, {c.fullName(), c.eachKeys}} {
		anonymous, err := c.holder(filepath.Join(dir, fmt.Sprint(i)), s.keys)
		if err != nil {
			return err
		}
		if i == 0 {
			none = anonymous
			continue
		}
		out.Add(s.name, n, map[string]float64{
			"anon_mb": anonymous, "anon_mb_each": (anonymous - none) / float64(c.tasks),
		})
	}
	return nil
}

// holder runs a process that holds tasks.
func (c settings) holder(dir string, keys int) (anonymous float64, err error) {
	cmd := exec.Command(c.self, "-dir", dir, "-value", fmt.Sprint(c.valueBytes), "-idle", c.idle.String(),
		"-hold", fmt.Sprintf("%d/%d", c.tasks, keys))
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, os.Stderr
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(text.String(), &anonymous)
	return anonymous, err
}

// hold is what such a process does: it runs tasks until they have all keys, leaves them alone for a while, and tells
// its memory in MB.
func (c settings) hold(what string, out io.Writer) error {
	var tasks, keys int
	if _, err := fmt.Sscanf(what, "%d/%d", &tasks, &keys); err != nil {
		return err
	}
	m, err := startMember(c.Dir)
	if err != nil {
		return err
	}
	x := newModifier("hold", true)
	if err = m.create(tasks, x.app+"-changes"); err == nil {
		err = m.create(1, x.app+"-probes")
	}
	if err == nil && keys != noTasks {
		var a app
		if a, err = m.run(x.builder()); err == nil {
			err = errors.Join(c.holdKeys(m, a, x, tasks, keys), c.tell(out), a.stop())
		}
	} else if err == nil {
		err = c.tell(out)
	}
	return errors.Join(err, m.Close())
}

// holdKeys waits until the tasks run, and gives each of them its keys, some at a time.
func (c settings) holdKeys(m member, a app, x *modifier, tasks, keys int) error {
	if err := a.await(func() (bool, error) {
		r, err := m.App(x.app)
		return err == nil && len(r.Tasks) == tasks, nil
	}); err != nil {
		return err
	}
	const some = 100 // keys of each task at a time: this is about what stays, not about a flood
	for from := 0; from < keys; from += some {
		more := min(some, keys-from)
		err := m.produce(tasks*more, func(i int) client.Record {
			return c.changeOf(x, uint64(from+i/tasks), i%tasks)
		})
		if err == nil {
			err = a.await(func() (bool, error) { return x.done.Load() >= int64(tasks*(from+more)), nil })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c settings) tell(out io.Writer) error {
	<-time.After(c.idle)
	anonymous, err := measure.AnonymousMemory(os.Getpid())
	fmt.Fprintln(out, float64(anonymous)/(1<<20))
	return err
}
