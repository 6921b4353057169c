package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// run is one program with its settings; name is that of the file with its output.
type run struct {
	name, program string
	options       []string
}

// runs is what is recorded. The device's read-ahead is left as it is but for those that are named for it,
// which takes root.
var runs = []run{
	{"groupcommit", "groupcommit", nil},
	{"writeamp", "writeamp", nil},
	{"writeamp-readahead-128", "writeamp", []string{"-read-ahead-kb", "128"}},
	{"coldread", "coldread", nil},
	{"coldread-64k", "coldread", []string{"-entry", "65536"}},
	{"coldread-1k", "coldread", []string{"-entry", "1024", "-mb", "256"}},
	{"coldread-readahead-128", "coldread", []string{"-read-ahead-kb", "128"}},
	{"kafkapath", "kafkapath", nil},
	{"interference", "interference", nil},
	{"restart", "restart", nil},
	{"footprint", "footprint", nil},
	{"statestore", "statestore", nil},
	{"taskstate", "taskstate", nil},
	{"groups", "groups", nil},
	{"nexmark", "nexmark", nil},
}

// run runs what is asked for. start runs one program and writes its output.
func (c settings) run(start func(r run, options []string, out io.Writer) error) error {
	for _, r := range runs {
		if !c.only.MatchString(r.name) {
			continue
		}
		if err := c.quiet(); err != nil {
			return err
		}
		if err := c.one(r, start); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// one runs a program and puts its output in its place once it is complete.
func (c settings) one(r run, start func(run, []string, io.Writer) error) (err error) {
	f, err := os.CreateTemp(c.out, "."+r.name+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	options := append([]string{"-dir", c.dir}, r.options...)
	if c.quick {
		options = append(options, "-quick")
	}
	err1 := start(r, options, io.MultiWriter(f, os.Stdout))
	_, err2 := fmt.Fprintf(f, "# go run ./benchmarks/%s %s\n", r.program, strings.Join(options[2:], " "))
	if err := errors.Join(err1, err2, f.Close()); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(c.out, r.name+".txt"))
}

func goRun(r run, options []string, out io.Writer) error {
	cmd := exec.Command("go", append([]string{"run", "./benchmarks/" + r.program}, options...)...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd.Run()
}

// quiet waits until nobody else uses the machine.
func (c settings) quiet() error {
	if c.quick {
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		load, err := loadAverage()
		switch {
		case err != nil:
			return err
		case load <= c.load:
			return nil
		case time.Since(begin) > c.patience:
			return fmt.Errorf("the load average is %.2f and was above %.2f for %s: a figure would mean nothing",
				load, c.load, c.patience)
		}
	}
}

func loadAverage() (load float64, err error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(b), &load)
	return load, err
}
