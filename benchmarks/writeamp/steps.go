package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/raw"
	"github.com/millstream-io/millstream/benchmarks/replicas"
	"github.com/millstream-io/millstream/state/engine"
)

const (
	entryBytes = 16 << 10
	groupBytes = 1 << 20
	loneBytes  = 1 << 10
)

var (
	groupName    = fmt.Sprintf("engine/entry=%d", entryBytes)
	rawGroupName = fmt.Sprintf("raw/group=%d", groupBytes)
	loneName     = fmt.Sprintf("engine/lone=%d", loneBytes)
	rawLoneName  = fmt.Sprintf("raw/append=%d", loneBytes)
)

// repetitions does every step c.Repetitions times; who goes first changes.
func (c settings) repetitions(out *measure.Results) error {
	file := filepath.Join(c.Dir, "writeamp-raw")
	for n := range c.Repetitions {
		pairs := [][2]func() error{
			{
				func() error { return c.inStore(out, groupName, n, c.replicas, entryBytes, c.megabytes<<20) },
				func() error { return c.inFile(out, rawGroupName, n, file, groupBytes, c.megabytes<<20) },
			},
			{
				func() error { return c.inStore(out, loneName, n, 1, loneBytes, c.lone*loneBytes) },
				func() error { return c.inFile(out, rawLoneName, n, file, loneBytes, c.lone*loneBytes) },
			},
		}
		for _, pair := range pairs {
			for i := range pair {
				if err := pair[(i+n)%len(pair)](); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// inStore writes payload bytes into an empty store that is open already, as entries of size bytes.
func (c settings) inStore(out *measure.Results, name string, n, logs, size, payload int) error {
	path, err := os.MkdirTemp(c.Dir, "writeamp-engine-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(path)
	s, err := engine.Open(engine.Options{Dir: path})
	if err != nil {
		return err
	}
	all, each := replicas.New(logs), max(1, payload/size/logs)
	// The first write of a class makes its files; it is not what is measured.
	_, err = replicas.Fill(s, all, size, 1)
	if err == nil {
		err = c.count(out, name, n, logs*each*size, func() error {
			_, err := replicas.Fill(s, all, size, each)
			return err
		})
	}
	return errors.Join(err, s.Close())
}

func (c settings) inFile(out *measure.Results, name string, n int, file string, size, payload int) error {
	return c.count(out, name, n, payload/size*size, func() error {
		_, err := raw.Append(file, size, payload/size, uint64(n))
		return err
	})
}

// count runs write between two looks at the counters. What was dirty before is written before, and what write
// left to be written later counts too.
func (c settings) count(out *measure.Results, name string, n, payload int, write func() error) error {
	if err := measure.SyncAll(c.Dir); err != nil {
		return err
	}
	device, err1 := measure.DeviceIO(c.Dir)
	process, err2 := measure.ProcessIO(os.Getpid())
	if err := errors.Join(err1, err2, write(), measure.SyncAll(c.Dir)); err != nil {
		return err
	}
	deviceEnd, err1 := measure.DeviceIO(c.Dir)
	processEnd, err2 := measure.ProcessIO(os.Getpid())
	out.Add(name, n, map[string]float64{
		"device_bytes_per_byte":  float64(deviceEnd.Since(device).Written) / float64(payload),
		"process_bytes_per_byte": float64(processEnd.Since(process).Written) / float64(payload),
		"device_read_per_byte":   float64(deviceEnd.Since(device).Read) / float64(payload),
		"payload_mb":             float64(payload) / (1 << 20),
	})
	return errors.Join(err1, err2)
}
