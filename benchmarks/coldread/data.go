package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/raw"
	"github.com/millstream-io/millstream/benchmarks/replicas"
	"github.com/millstream-io/millstream/state/engine"
)

// data is what is read: the same amount in a store and in a raw file.
type data struct {
	settings
	dir  string
	logs []*replicas.Log
}

func (d *data) store() string { return filepath.Join(d.dir, "store") }
func (d *data) file() string  { return filepath.Join(d.dir, "raw") }
func (d *data) remove()       { _ = os.RemoveAll(d.dir) }

// write fills the store and the raw file.
func (c settings) write(out *measure.Results) (*data, error) {
	dir, err := os.MkdirTemp(c.Dir, "coldread-")
	if err != nil {
		return nil, err
	}
	d := &data{settings: c, dir: dir, logs: replicas.New(c.partitions + 1)}
	begin := time.Now()
	if err := errors.Join(d.fill(), raw.Create(d.file(), d.bytes(), 1)); err != nil {
		d.remove()
		return nil, err
	}
	out.Note("written in %s", time.Since(begin).Round(time.Millisecond))
	d.logs = d.logs[:c.partitions]
	return d, nil
}

// entries is how many entries a partition has.
func (c settings) entries() int { return max(1, c.megabytes<<20/c.entry/c.partitions) }

// bytes is the payload of all partitions.
func (c settings) bytes() int64 { return int64(c.entries()) * int64(c.partitions) * int64(c.entry) }

func (d *data) fill() error {
	s, err := d.open()
	if err != nil {
		return err
	}
	_, err = replicas.Fill(s, d.logs[:d.partitions], d.entry, d.entries())
	if err == nil {
		const piece = 1 << 20
		_, err = replicas.Fill(s, d.logs[d.partitions:], piece, d.filler)
	}
	return errors.Join(err, s.Close())
}

func (d *data) open() (*engine.Store, error) {
	return engine.Open(engine.Options{Dir: d.store(), BucketBytes: int64(d.bucketBytes)})
}

// inStore opens the store for use. A cold one has nothing in the page cache; cached is what came there by
// opening it.
func (d *data) inStore(cold bool, use func(s *engine.Store, cached int64) error) error {
	if cold {
		if _, err := measure.Cool(d.dir, d.everything); err != nil {
			return err
		}
	}
	s, err := d.open()
	if err != nil {
		return err
	}
	var cached int64
	if cold {
		cached, err = measure.Cool(d.dir, false)
	}
	if err == nil {
		err = use(s, cached)
	}
	return errors.Join(err, s.Close())
}
