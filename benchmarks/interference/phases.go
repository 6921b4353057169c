package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/benchmarks/kafkaload"
	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/benchmarks/raw"
	"github.com/millstream-io/millstream/benchmarks/server"
)

const (
	quietName      = "quiet"
	quietAfterName = "quiet again"
	scanName       = "cold scan"
	salvageName    = "salvage"
	compactName    = "log compaction"
)

// member is one that has been filled, under load.
type member struct {
	settings
	*server.Process
	data    string
	admin   *kadm.Client
	windows []window
}

// build builds the member, unless somebody has named one.
func (c *settings) build() (remove func(), err error) {
	if c.binary != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "interference-bin-")
	if err != nil {
		return nil, err
	}
	c.binary, err = server.Build(dir, "./cmd/millstream")
	return func() { _ = os.RemoveAll(dir) }, err
}

// repetition fills a member, starts it again, cold, and lets it work under load. What it does first changes
// with n.
func (c settings) repetition(out *measure.Results, n int) error {
	data, err := os.MkdirTemp(c.Dir, "interference-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	command := server.Member(c.binary, data, "--storage-bucket-bytes", strconv.Itoa(c.bucketBytes))
	if err := c.filled(command); err != nil {
		return err
	}
	if err := c.beside(out, n, data); err != nil {
		return err
	}
	if _, err := measure.Cool(data, false); err != nil {
		return err
	}
	p, err := server.Start(command)
	if err != nil {
		return err
	}
	defer p.Kill() // its directory goes with it
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Kafka))
	if err != nil {
		return err
	}
	defer client.Close()
	m := &member{settings: c, Process: p, data: data, admin: kadm.NewClient(client)}
	l, err := startLoad(c, p.Kafka)
	if err != nil {
		return err
	}
	if err := errors.Join(m.all(n), l.end()); err != nil {
		return err
	}
	for _, w := range m.windows {
		l.report(out, n, w)
	}
	return nil
}

// beside tells what the disk itself needs for a small durable write.
func (c settings) beside(out *measure.Results, n int, data string) error {
	took, err := raw.Append(data+"-raw", 4<<10, max(20, c.rate), uint64(n))
	figures := map[string]float64{}
	measure.Latencies(figures, took)
	out.Add("raw/append=4096", n, figures)
	return err
}

// all goes through the phases.
func (m *member) all(n int) error {
	if err := m.quiet("", m.window/5); err != nil { // warms up
		return err
	}
	if err := m.quiet(quietName, m.window); err != nil {
		return err
	}
	phases := []func() error{m.scanCold, m.salvaged, m.compacted}
	for i := range phases {
		if err := phases[(i+n)%len(phases)](); err != nil {
			return err
		}
	}
	return m.quiet(quietAfterName, m.window)
}

// quiet leaves the member alone with its load. Work that it does all the same is told.
func (m *member) quiet(name string, d time.Duration) error {
	before, err := scrape(m.HTTP)
	if err != nil {
		return err
	}
	w := window{name: name, from: time.Now()}
	<-time.After(d)
	w.to = time.Now()
	after, err := scrape(m.HTTP)
	if w.figures = after.since(before).figures(d); name != "" {
		m.windows = append(m.windows, w)
	}
	return err
}

// salvaged deletes most of what lies in the buckets of a topic and lets the member rewrite the rest.
func (m *member) salvaged() error {
	return m.working(salvageName, func(ctx context.Context) error {
		ends, err := m.admin.ListEndOffsets(ctx, salvageTopic)
		if err != nil {
			return err
		}
		to := kadm.Offsets{}
		ends.Each(func(o kadm.ListedOffset) {
			if o.Partition >= keptPartitions {
				to.AddOffset(o.Topic, o.Partition, o.Offset, -1)
			}
		})
		moved, err := m.admin.DeleteRecords(ctx, to)
		if err == nil {
			err = moved.Error()
		}
		return err
	})
}

// compacted lets the member compact what was too young before.
func (m *member) compacted() error {
	return m.working(compactName, func(ctx context.Context) error {
		set := kadm.AlterConfig{Op: kadm.SetConfig, Name: lagKey, Value: kadm.StringPtr("0")}
		answers, err := m.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{set}, compactTopic)
		for _, a := range answers {
			err = errors.Join(err, a.Err)
		}
		return err
	})
}

// working asks the member for work and waits until it is done.
func (m *member) working(name string, ask func(context.Context) error) error {
	before, err := scrape(m.HTTP)
	if err != nil {
		return err
	}
	w := window{name: name, from: time.Now()}
	if err := ask(context.Background()); err != nil {
		return err
	}
	done, first, last, err := watch(m.HTTP, before, m.calm, m.patience)
	if w.to = last; name == salvageName {
		w.from = first // the store waits for a while first; compaction begins with reading
	}
	w.figures = done.figures(last.Sub(w.from))
	m.windows = append(m.windows, w)
	return err
}

// scanCold reads a topic from the disk, again for as long as a window lasts. Where the member has its files
// mapped they stay in memory; a round that did not come from the disk is none, and the last.
func (m *member) scanCold() error {
	w := window{name: scanName, from: time.Now()}
	var read, fromDisk int64
	for w.to.Sub(w.from) < m.window {
		n, disk, err := m.scanOnce()
		if err != nil {
			return err
		}
		if read > 0 && disk < n/2 {
			break
		}
		read, fromDisk, w.to = read+n, fromDisk+disk, time.Now()
	}
	w.figures = map[string]float64{
		"scan_mb_s":           float64(read) / (1 << 20) / w.to.Sub(w.from).Seconds(),
		"disk_bytes_per_byte": float64(fromDisk) / float64(max(1, read)),
	}
	m.windows = append(m.windows, w)
	return nil
}

// scanOnce reads the topic once. It returns the bytes read, and those that the member got from the disk for
// it.
func (m *member) scanOnce() (n, disk int64, err error) {
	if err := measure.Forget(m.data); err != nil {
		return 0, 0, err
	}
	before, err1 := measure.ProcessIO(m.Pid())
	n, err = kafkaload.ReadAll(context.Background(), m.Kafka, scanTopic, scanPartitions)
	after, err2 := measure.ProcessIO(m.Pid())
	return n, after.Since(before).Read, errors.Join(err, err1, err2)
}
