package drive

import (
	"errors"
	"os"
	"time"

	"github.com/millstream-io/millstream/benchmarks/load"
	"github.com/millstream-io/millstream/benchmarks/measure"
)

// counting takes what server and client have used when the measured part begins and when it ends.
type counting struct {
	load        Load
	pid         int
	first, last counts
	anonymous   int64 // bytes of the server's memory
	resident    int64
	beside      chan error
}

// counts is what is compared between two moments of a run.
type counts struct {
	server, client time.Duration
	disk           measure.IO // of the server
}

func (l Load) counting(s Server, w *load.Writing) *counting {
	c := &counting{load: l, pid: s.Pid}
	w.Started = func() (err error) {
		if l.During != nil {
			c.beside = make(chan error, 1)
			go func() { c.beside <- l.During() }()
		}
		c.first, err = c.now()
		return err
	}
	w.Ended = func() (err error) {
		var err1, err2 error
		c.last, err = c.now()
		c.anonymous, err1 = measure.AnonymousMemory(c.pid)
		c.resident, err2 = measure.ResidentMemory(c.pid)
		return errors.Join(err, err1, err2)
	}
	return c
}

func (c *counting) now() (n counts, err error) {
	var err1, err2, err3 error
	n.server, err1 = measure.CPU(c.pid)
	n.client, err2 = measure.CPU(os.Getpid())
	n.disk, err3 = measure.ProcessIO(c.pid)
	return n, errors.Join(err1, err2, err3)
}

// wait gives the error of what ran beside.
func (c *counting) wait() error {
	if c.beside == nil {
		return nil
	}
	return <-c.beside
}

func (c *counting) figures(out *load.Written) map[string]float64 {
	records := max(out.Records, 1)
	written := float64(c.last.disk.Since(c.first.disk).Written)
	return map[string]float64{
		"rate_per_s":              float64(out.Records) / out.Took.Seconds(),
		"server_cpu_s_per_m":      perMillion(c.last.server-c.first.server, records),
		"client_cpu_s_per_m":      perMillion(c.last.client-c.first.client, records),
		"server_anon_mb":          float64(c.anonymous) / (1 << 20),
		"server_rss_mb":           float64(c.resident) / (1 << 20),
		"server_written_per_byte": written / float64(records) / float64(c.load.ValueBytes),
	}
}
