package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// maxLine bounds the memory that one line of input may take.
const maxLine = 64 << 20

func (s *shell) produceCommand() *urfave.Command {
	return &urfave.Command{
		Name: "produce", Usage: "send lines as records", ArgsUsage: "TOPIC",
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "`KEY` of every record"},
			&urfave.StringSliceFlag{Name: "header", Aliases: []string{"H"},
				Usage: "header `KEY=VALUE`; may be repeated"},
			&urfave.StringFlag{Name: "format", Aliases: []string{"f"}, Value: "%v",
				Usage: "`FORMAT` of a line: '%k\\t%v'"},
			&urfave.StringFlag{Name: "file", Usage: "read lines from `FILE` instead of standard input"},
			&urfave.Float64Flag{Name: "rate", Usage: "at most `N` records a second"},
			&urfave.IntFlag{Name: "partition", Usage: "to partition `P`; by key, or in turns, without it"},
			&urfave.StringFlag{Name: "acks", Value: "all",
				Usage: "wait for `WHOM`: 0 nobody, 1 the leader, all"},
			&urfave.StringFlag{Name: "compression", Value: "none",
				Usage: "`CODEC`: none, gzip, snappy, lz4 or zstd"},
			addrFlag(), timeoutFlag(),
		},
		Action: s.produce,
	}
}

// sending is one run of produce: what every record has in common, and what became of them.
type sending struct {
	topic     string
	key       []byte
	headers   []record.Header
	partition record.Partition // negative: the partitioner's
	reader    *reader
	rate      float64
	timeout   time.Duration // of each record
	meter     *meter

	mu     sync.Mutex
	sent   int64
	failed int64
	first  error
}

func (s *shell) produce(c *urfave.Context) error {
	topic, err := oneArgument(c, "TOPIC")
	if err != nil {
		return err
	}
	p, err := newSending(c, topic)
	if err != nil {
		return err
	}
	opts, err := produceOptions(c)
	if err != nil {
		return err
	}
	in := s.Stdin
	if name := c.String("file"); name != "" {
		f, err := os.Open(name)
		if err != nil {
			return fail(exitFailure, "the file cannot be read").because("%v", err)
		}
		defer f.Close()
		if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
			p.meter = s.meter("sending "+filepath.Base(name), fi.Size(), true)
			defer func() { p.meter.end() }()
		}
		in = f
	}
	cl, err := s.connect(c.Context, c, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if in == s.Stdin && isTerminal(in) {
		s.notef("every line is a record; Ctrl-D ends")
	}
	readErr := p.sendLines(c.Context, cl, in)
	flushErr := cl.Flush(context.WithoutCancel(c.Context)) // bounded by --timeout of each record
	p.meter.end()
	if err := p.outcome(c.Context, cl); err != nil {
		return err
	}
	if isTerminal(s.Stderr) && readErr == nil {
		s.notef("sent %s to %s", count(p.sent, "record"), topic)
	}
	return errors.Join(readErr, flushErr)
}

func newSending(c *urfave.Context, topic string) (*sending, error) {
	p := &sending{topic: topic, partition: -1, rate: c.Float64("rate"), timeout: c.Duration("timeout")}
	var err error
	if p.reader, err = parseReader(c.String("format")); err != nil {
		return nil, err
	}
	if c.IsSet("key") {
		if p.reader.key {
			return nil, usage("--key and %%k in --format exclude each other").hint("one of them")
		}
		p.key = append([]byte{}, c.String("key")...)
	}
	for _, h := range c.StringSlice("header") {
		k, v, ok := strings.Cut(h, "=")
		if !ok || k == "" {
			return nil, usage("-H %q is not KEY=VALUE", h).hint("-H origin=file")
		}
		p.headers = append(p.headers, record.Header{Key: k, Value: []byte(v)})
	}
	if c.IsSet("rate") && p.rate <= 0 {
		return nil, usage("--rate %v is not positive", p.rate).hint("--rate 100")
	}
	if c.IsSet("partition") {
		n := c.Int("partition")
		if n < 0 || n > 1<<30 {
			return nil, usage("--partition %d is out of range", n).hint("a number from 0")
		}
		p.partition = record.Partition(n)
	}
	return p, nil
}

// produceOptions turns the options of produce into those of the client.
func produceOptions(c *urfave.Context) ([]client.Option, error) {
	acks, ok := map[string]client.Acks{
		"all": client.AcksAll, "-1": client.AcksAll, "1": client.AcksLeader, "0": client.AcksNone,
	}[c.String("acks")]
	if !ok {
		return nil, usage("--acks %q is unknown", c.String("acks")).hint("0, 1 or all")
	}
	codec, err := record.ParseCodec(c.String("compression"))
	if err != nil {
		return nil, usage("--compression %q is unknown", c.String("compression")).hint("none, gzip, snappy, lz4 or zstd")
	}
	return []client.Option{
		client.WithAcks(acks), client.WithCompression(codec), client.WithDeliveryTimeout(c.Duration("timeout")),
		client.WithCloseTimeout(c.Duration("timeout")),
	}, nil
}

// sendLines hands every line to the client. It blocks for as long as the input lasts; a failed record ends
// it, since more of them would fail too.
func (p *sending) sendLines(ctx context.Context, cl *client.Client, in io.Reader) error {
	scan := bufio.NewScanner(&interruptible{ctx, in})
	scan.Buffer(make([]byte, 64<<10), maxLine)
	begin := time.Now()
	for n := int64(1); scan.Scan(); n++ {
		r, err := p.record(scan.Text(), n)
		if err != nil {
			return err
		}
		if err := p.pace(ctx, begin, n); err != nil {
			return err
		}
		p.send(ctx, cl, r)
		p.meter.add(int64(len(scan.Bytes())) + 1)
		if p.stopped() {
			break
		}
	}
	if err := scan.Err(); err != nil && ctx.Err() == nil {
		return fail(exitFailure, "the input cannot be read").because("%v", err)
	}
	return ctx.Err()
}

// send hands a record over. What was read is sent, also after an interrupt.
func (p *sending) send(ctx context.Context, cl *client.Client, r client.Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
	defer cancel()
	cl.ProduceAsync(ctx, r, p.done)
}

// record makes the record of line n.
func (p *sending) record(line string, n int64) (client.Record, error) {
	key, value, ok := p.reader.split(line)
	if !ok {
		return client.Record{}, fail(exitFailure, fmt.Sprintf("line %d does not look like the format", n)).
			hint("look at line %d, or change --format", n)
	}
	r := client.Record{Topic: p.topic, Key: p.key, Value: []byte(value), Headers: p.headers}
	if p.reader.key {
		r.Key = []byte(key)
	}
	if p.partition >= 0 {
		r = r.At(p.partition)
	}
	return r, nil
}

// pace waits until the rate allows record n.
func (p *sending) pace(ctx context.Context, begin time.Time, n int64) error {
	if p.rate <= 0 {
		return nil
	}
	due := begin.Add(time.Duration(float64(n-1) / p.rate * float64(time.Second)))
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// done notes what became of a record; the client calls it on its own goroutine.
func (p *sending) done(d client.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.Err == nil {
		p.sent++
		return
	}
	p.failed++
	if p.first == nil {
		p.first = d.Err
	}
}

func (p *sending) stopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed > 0
}

// outcome says what failed: part of the records, or all. It may ask the member whether the topic is there.
func (p *sending) outcome(ctx context.Context, cl *client.Client) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == 0 {
		return nil
	}
	f := refused(fmt.Sprintf("%s not accepted by topic %q", wasWere(p.failed), p.topic), p.first)
	switch code := fault.CodeOf(p.first); {
	case f.code == exitNotFound && p.partition >= 0 && p.exists(ctx, cl):
		f.code = exitFailure
		f.hint("`millstream topic describe %s` shows the partitions", p.topic)
	case f.code == exitNotFound:
		f.hint("millstream topic create %s", p.topic)
	case code == fault.RecordTooLarge, code == fault.RecordListTooLarge:
		f.hint("smaller lines; `millstream topic describe %s` shows max.message.bytes", p.topic)
	case code == fault.InvalidRecord:
		f.because("the topic is compacted, and takes records with a key only")
		f.hint("`millstream produce -k KEY` gives the records a key")
	case code == fault.InvalidTimestamp:
		f.hint("`millstream topic describe %s` shows message.timestamp.before.max.ms and after.max.ms", p.topic)
	}
	if p.sent > 0 {
		f.code = exitPartial
		f.what += fmt.Sprintf(", %d before it accepted", p.sent)
	}
	return f
}

// exists reports whether the topic is there; no answer is no.
func (p *sending) exists(ctx context.Context, cl *client.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	_, err := cl.Topic(ctx, p.topic)
	return err == nil
}

func wasWere(n int64) string {
	if n == 1 {
		return "1 record was"
	}
	return fmt.Sprintf("%d records were", n)
}

// interruptible ends a read when the context ends: a terminal would otherwise hold the command until the next
// line.
type interruptible struct {
	ctx context.Context
	in  io.Reader
}

// Read is as io.Reader's. The reading goroutine is left behind in a blocked read when the context ends; the
// process is about to exit then.
func (r *interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	done := make(chan result, 1)
	buf := make([]byte, len(p))
	go func() {
		n, err := r.in.Read(buf)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		copy(p, buf[:got.n])
		return got.n, got.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}
