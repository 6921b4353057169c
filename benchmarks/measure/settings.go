package measure

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
)

// Settings are what every program asks for. Register makes options of them.
type Settings struct {
	Dir         string // on the device that is measured
	Repetitions int
	Touch       int  // bytes of memory touched first
	Quick       bool // a few seconds, to see that it works: figures mean nothing
	ReadAhead   int  // kB that the device reads ahead during the run, set by root; 0 leaves it as it is
}

// Register adds the options to the command line.
func (s *Settings) Register(f *flag.FlagSet) {
	f.StringVar(&s.Dir, "dir", os.TempDir(), "directory on the device to measure")
	f.IntVar(&s.Repetitions, "n", 5, "repetitions")
	f.IntVar(&s.Touch, "touch", 1<<30, "bytes of memory touched first")
	f.BoolVar(&s.Quick, "quick", false, "tiny sizes: shows that it works, its figures mean nothing")
	f.IntVar(&s.ReadAhead, "read-ahead-kb", 0, "set the device's read-ahead for this run, as root")
}

// Prepare touches memory and sets the read-ahead. restore gives the read-ahead back; an interrupted program
// does so by itself. Call it before NewResults, so that the hardware line tells what was set.
func (s *Settings) Prepare() (restore func(), err error) {
	if s.Quick {
		s.Repetitions, s.Touch = 1, 0
	}
	Touch(s.Touch)
	if s.ReadAhead == 0 {
		return func() {}, nil
	}
	return setReadAhead(s.Dir, s.ReadAhead)
}

func setReadAhead(dir string, kb int) (restore func(), err error) {
	queue, err := blockDevice(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(queue, "partition")); err == nil {
		queue = filepath.Dir(queue) // a partition has the queue of its disk
	}
	path := filepath.Join(queue, "queue", "read_ahead_kb")
	before := word(path)
	if err := os.WriteFile(path, []byte(strconv.Itoa(kb)), 0); err != nil {
		return nil, fmt.Errorf("set the read-ahead of the device of %s: %w", dir, err)
	}
	restore = func() {
		if err := os.WriteFile(path, []byte(before), 0); err != nil {
			fmt.Fprintf(os.Stderr, "read-ahead of %s stays at %d: %v\n", dir, kb, err)
		}
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		restore()
		os.Exit(1)
	}()
	return restore, nil
}
