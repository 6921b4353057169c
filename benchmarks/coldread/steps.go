package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/raw"
	"github.com/millstream-io/millstream/benchmarks/replicas"
	"github.com/millstream-io/millstream/state/engine"
)

const (
	oneName        = "engine/one/cold"
	stridedName    = "raw/strided/cold"
	allName        = "engine/all/cold"
	sequentialName = "raw/sequential/cold"
	warmName       = "engine/one/warm"
	warmAllName    = "engine/all/warm"
	warmRawName    = "raw/sequential/warm"
)

// repetition does every step once; engine and raw take turns in going first.
func (d *data) repetition(out *measure.Results, n int) error {
	var steps []func() error
	for i := range d.samples {
		l := d.logs[(n*d.samples+i)*7919%len(d.logs)]
		pair := []func() error{
			func() error { return d.one(out, n, l) },
			func() error { return d.strided(out, n, l) },
		}
		steps = append(steps, pair[n%2], pair[1-n%2])
	}
	pair := []func() error{
		func() error { return d.all(out, n) },
		func() error { return d.sequential(out, sequentialName, n, true) },
	}
	steps = append(steps, pair[n%2], pair[1-n%2])
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// one catches one partition up, cold.
func (d *data) one(out *measure.Results, n int, l *replicas.Log) error {
	return d.inStore(true, func(s *engine.Store, cached int64) error {
		figures, err := d.reading(func() (int64, error) { return l.Read(s, d.readBytes) })
		figures["cached_mb"] = float64(cached) / (1 << 20)
		out.Add(oneName, n, figures)
		return err
	})
}

// strided reads from the raw file what one partition would have there.
func (d *data) strided(out *measure.Results, n int, l *replicas.Log) error {
	if _, err := measure.Cool(d.dir, d.everything); err != nil {
		return err
	}
	stride := int64(d.entry) * int64(d.partitions)
	figures, err := d.reading(func() (int64, error) {
		return raw.Strided(d.file(), int64(l.ID-1)*int64(d.entry), d.entry, stride)
	})
	out.Add(stridedName, n, figures)
	return err
}

func (d *data) sequential(out *measure.Results, name string, n int, cold bool) error {
	if cold {
		if _, err := measure.Cool(d.dir, d.everything); err != nil {
			return err
		}
	}
	figures, err := d.reading(func() (int64, error) { return raw.Sequential(d.file()) })
	out.Add(name, n, figures)
	return err
}

// all catches all partitions up at the same time, cold, and reads them again, warm. Memory is looked at
// before and after the cold scan, while the store is open and has nothing to do.
func (d *data) all(out *measure.Results, n int) error {
	err := d.inStore(true, func(s *engine.Store, cached int64) error {
		debug.FreeOSMemory() // what the writing left
		anon, resident, err1 := memory()
		figures, err2 := d.reading(func() (int64, error) { return d.readAll(s) })
		anonEnd, residentEnd, err3 := memory()
		debug.FreeOSMemory()
		anonLive, _, err4 := memory()
		figures["cached_mb"] = float64(cached) / (1 << 20)
		figures["anon_more_mb"], figures["resident_more_mb"] = anonEnd-anon, residentEnd-resident
		figures["anon_live_more_mb"] = anonLive - anon // without what only the collector has not come to
		out.Add(allName, n, figures)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		return d.warm(out, n, s)
	})
	if err != nil {
		return err
	}
	if _, err := raw.Sequential(d.file()); err != nil { // which makes it warm
		return err
	}
	return d.sequential(out, warmRawName, n, false)
}

// warm reads again what the scan has brought into memory: every partition after the other, and all at once.
func (d *data) warm(out *measure.Results, n int, s *engine.Store) error {
	figures, err := d.reading(func() (sum int64, err error) {
		for _, l := range d.logs {
			read, err := l.Read(s, d.readBytes)
			if err != nil {
				return sum, err
			}
			sum += read
		}
		return sum, nil
	})
	out.Add(warmName, n, figures)
	if err != nil {
		return err
	}
	figures, err = d.reading(func() (int64, error) { return d.readAll(s) })
	out.Add(warmAllName, n, figures)
	return err
}

func (d *data) readAll(s *engine.Store) (int64, error) {
	var sum atomic.Int64
	err := replicas.All(d.logs, func(_ int, l *replicas.Log) error {
		read, err := l.Read(s, d.readBytes)
		sum.Add(read)
		return err
	})
	if err == nil && sum.Load() != d.bytes() {
		err = fmt.Errorf("%d of %d bytes were read", sum.Load(), d.bytes())
	}
	return sum.Load(), err
}

// reading times read, which returns the bytes of payload that it has read, and counts what came from the
// disk.
func (d *data) reading(read func() (int64, error)) (map[string]float64, error) {
	process, err1 := measure.ProcessIO(os.Getpid())
	device, err2 := measure.DeviceIO(d.dir)
	cpu, err3 := measure.CPU(os.Getpid())
	begin := time.Now()
	payload, err := read()
	took := time.Since(begin)
	processEnd, err4 := measure.ProcessIO(os.Getpid())
	deviceEnd, err5 := measure.DeviceIO(d.dir)
	cpuEnd, err6 := measure.CPU(os.Getpid())
	return map[string]float64{
		"rate_mb_s":             float64(payload) / (1 << 20) / took.Seconds(),
		"disk_bytes_per_byte":   float64(processEnd.Since(process).Read) / float64(max(1, payload)),
		"device_bytes_per_byte": float64(deviceEnd.Since(device).Read) / float64(max(1, payload)),
		"cpu_s_per_gb":          (cpuEnd - cpu).Seconds() / float64(max(1, payload)) * (1 << 30),
	}, errors.Join(err, err1, err2, err3, err4, err5, err6)
}

// memory is what this process has in memory that no file backs, and all that it has, in MB.
func memory() (anon, resident float64, err error) {
	a, err1 := measure.AnonymousMemory(os.Getpid())
	r, err2 := measure.ResidentMemory(os.Getpid())
	return float64(a) / (1 << 20), float64(r) / (1 << 20), errors.Join(err1, err2)
}
