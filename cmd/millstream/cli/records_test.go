package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// Goal: what is produced is what is consumed, from every position. Method: ten lines to one partition at a
// member, read back with each kind of -o.
func TestProduceConsume(t *testing.T) {
	env := memberWith(t, 1, "lines")
	var in strings.Builder
	for i := range 10 {
		fmt.Fprintf(&in, "line %d\n", i)
	}
	commandLine(t, in.String(), env, "produce", "lines").must(t, 0)
	tests := []struct {
		line     string
		from, to int
	}{
		{"-o start", 0, 10}, {"-o 7", 7, 10}, {"-o -3", 7, 10}, {"-o -100", 0, 10}, {"-o 2:5", 2, 5},
		{"-o end", 10, 10}, {"-o @-1h", 0, 10}, {"-o start -n 4", 0, 4}, {"-n 0", 0, 0}, {"-o 100", 10, 10},
		{"-o @2100-01-01", 10, 10}, {"-o 5:5", 5, 5},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			args := append([]string{"consume", "lines", "--exit-at-end"}, strings.Fields(tt.line)...)
			o := commandLine(t, "", env, args...).must(t, 0)
			if got := strings.Count(o.stdout, "\n"); got != tt.to-tt.from {
				t.Fatalf("%d lines, want %d:\n%s", got, tt.to-tt.from, o.stdout)
			}
			if tt.to > tt.from && !strings.HasPrefix(o.stdout, fmt.Sprintf("line %d\n", tt.from)) {
				t.Errorf("begins with %q, want line %d", o.stdout, tt.from)
			}
		})
	}
	// Without --exit-at-end a limit ends the command too.
	commandLine(t, "", env, "consume", "lines", "-n", "10").must(t, 0)
	commandLine(t, "", env, "consume", "none", "--exit-at-end").must(t, 3).says(t, `there is no topic "none"`)
	commandLine(t, "", env, "consume", "lines", "--partition", "4").must(t, 3).says(t, "has no partition 4")
}

// hollow is a cluster of one topic with one partition that ends at 10, of which log compaction has left nothing.
type hollow struct {
	client.Transport
	atEnd func() // somebody reads on from there
}

func (hollow) Metadata(_ context.Context, _ bool, topics ...string) ([]client.TopicMetadata, error) {
	return []client.TopicMetadata{{Name: topics[0], Partitions: make([]client.PartitionMetadata, 1)}}, nil
}

// OpenReader implements client.Transport.
func (h hollow) OpenReader() client.Reader { return hollowReader{h} }

type hollowReader struct{ hollow }

// Fetch implements client.Reader.
func (h hollowReader) Fetch(ctx context.Context, r client.FetchRequest) (client.FetchResult, error) {
	if r.Partitions[0].From >= 10 {
		h.atEnd()
		<-ctx.Done()
		return client.FetchResult{}, ctx.Err()
	}
	return client.FetchResult{Partitions: []client.FetchedPartition{{HighWatermark: 10, Next: 10}}}, nil
}

// Close implements client.Reader.
func (hollowReader) Close() {}

// Close implements client.Transport.
func (hollow) Close() error { return nil }

// Goal: reading up to an offset ends although compaction has taken the last records before it, and not where they
// are still to come. Method: a log that compaction has emptied, and spans that end before and behind its end; who reads on
// from the end is interrupted there.
func TestReadToCompactedEnd(t *testing.T) {
	for until, want := range map[record.Offset]error{10: nil, 7: nil, 12: context.Canceled} {
		var out bytes.Buffer
		s := &shell{Process: Process{Stdout: &out}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cl := client.New(hollow{atEnd: cancel})
		k := cl.Consumer()
		if err := k.Assign(ctx, "lines", client.FromOffset(0)); err != nil {
			t.Fatal(err)
		}
		r := &reading{left: -1, write: appendJSON, spans: map[client.TopicPartition]span{{Topic: "lines"}: {0, until}}}
		if err := s.readAll(ctx, k, r); !errors.Is(err, want) || out.Len() != 0 {
			t.Errorf("until %d: %v, %q", until, err, &out)
		}
		k.Close()
		cl.Close()
		cancel()
	}
}

// Goal: reading up to an offset that is still to come waits for it, and stops there. Method: a reader of [8, 12) of ten
// records in the background, then three more.
func TestReadToOffsetToCome(t *testing.T) {
	env := memberWith(t, 1, "lines")
	commandLine(t, strings.Repeat("old\n", 10), env, "produce", "lines").must(t, 0)
	b := inBackground(t, "consume", "lines", "-o", "8:12", "-f", `%o%v\n`, "--addr", strings.TrimPrefix(env[0], "MILLSTREAM_ADDR="))
	b.says(`(9old)`)
	commandLine(t, "a\nb\nc\n", env, "produce", "lines").must(t, 0)
	if code := <-b.code; code != 0 || b.console.all() != "8old\n9old\n10a\n11b\n" {
		t.Errorf("exit code %d, %q", code, b.console.all())
	}
}

// Goal: key, headers, partition, format and JSON arrive as typed. Method: produce with options, compare with
// a golden file.
func TestRecordForms(t *testing.T) {
	env := memberWith(t, 3, "forms")
	commandLine(t, "a\n", env, "produce", "forms", "-k", "k1", "-H", "h=1", "-H", "i=x,y", "--partition", "2").
		must(t, 0)
	commandLine(t, "k2\tb c\n", env, "produce", "forms", "-f", `%k\t%v`, "--partition", "1", "--acks", "1").
		must(t, 0)
	commandLine(t, "\xff\xfe\n", env, "produce", "forms", "--partition", "0", "--compression", "zstd").must(t, 0)
	o := commandLine(t, "", env, "consume", "forms", "--partition", "2", "--exit-at-end",
		"-f", `%t|%p|%o|%k|%v|%s|%h|%K|%V\x21%%\n`)
	if want := "forms|2|0|k1|a|a|h=1,i=x,y|2|1!%\n"; o.must(t, 0).stdout != want {
		t.Errorf("format gives %q, want %q", o.stdout, want)
	}
	var all string
	for _, p := range []string{"0", "1", "2"} {
		all += commandLine(t, "", env, "consume", "forms", "--partition", p, "--exit-at-end", "--output", "json").
			must(t, 0).stdout
	}
	golden(t, "consume.json", timestamps.ReplaceAllString(all, `"timestamp":0`))
}

// Goal: a file is sent as it is, whatever the codec. Method: real lines through every codec and back.
func TestFileThroughCodecs(t *testing.T) {
	env := memberWith(t, 1, "none", "gzip", "snappy", "lz4", "zstd")
	name := filepath.Join(t.TempDir(), "in.txt")
	text := strings.Repeat("To Sherlock Holmes she is always THE woman.\n", 2000)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		commandLine(t, "", env, "produce", codec, "--file", name, "--compression", codec).must(t, 0)
		if o := commandLine(t, "", env, "consume", codec, "--exit-at-end").must(t, 0); o.stdout != text {
			t.Errorf("%s: %d bytes came back of %d", codec, len(o.stdout), len(text))
		}
	}
	commandLine(t, "", env, "produce", "none", "--file", name+".gone").must(t, 1).says(t, "cannot be read")
}

// Goal: --rate holds back, and an interrupt ends a waiting command with 130 after what was read has been
// sent. Method: a rate that would need minutes, interrupted after the first record has arrived.
func TestRateAndInterrupt(t *testing.T) {
	env := memberWith(t, 1, "slow")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		done <- run(ctx, Process{Args: strings.Fields("millstream produce slow --rate 0.01"), Environ: env,
			Stdin: strings.NewReader("a\nb\nc\n"), Stdout: io.Discard, Stderr: io.Discard})
	}()
	if o := commandLine(t, "", env, "consume", "slow", "-n", "1").must(t, 0); o.stdout != "a\n" {
		t.Errorf("first record %q, want a", o.stdout)
	}
	cancel()
	select {
	case code := <-done:
		if code != exitInterrupted {
			t.Errorf("exit code %d, want %d", code, exitInterrupted)
		}
	case <-time.After(time.Minute):
		t.Fatal("an interrupt does not end produce")
	}
	if o := commandLine(t, "", env, "consume", "slow", "--exit-at-end").must(t, 0); o.stdout != "a\n" {
		t.Errorf("%q was sent, want only a", o.stdout)
	}
}

// Goal: a refusal after some records is told as done in part. Method: the outcome of a sending with both.
func TestPartialOutcome(t *testing.T) {
	late := client.Delivery{Err: fault.New(fault.RequestTimedOut, "late")}
	p := &sending{topic: "t", partition: -1}
	p.done(client.Delivery{})
	p.done(late)
	var f *failure
	err := p.outcome(t.Context(), nil)
	if !errors.As(err, &f) || f.code != exitPartial || !strings.Contains(f.what, "1 record was not accepted") {
		t.Errorf("outcome %v, want partial", err)
	}
	p = &sending{topic: "t", partition: -1}
	p.done(late)
	if err := p.outcome(t.Context(), nil); !errors.As(err, &f) || f.code != exitUnreachable {
		t.Errorf("outcome %v, want unreachable", err)
	}
}
