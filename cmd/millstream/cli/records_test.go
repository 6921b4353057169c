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

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Goal: what is produced is what is consumed, from every position. Method: ten lines to one partition of a
// fake broker, read back with each kind of -o.
func TestProduceConsume(t *testing.T) {
	env := fakeBroker(t, kfake.SeedTopics(1, "lines"))
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

// Goal: reading up to an offset ends although compaction has taken the last records before it, and not where they
// are still to come. Method: ten records, and spans that end behind them; a reader for whom more is to come is told to
// stop long after it has seen the ten and nobody had any more.
func TestReadToCompactedEnd(t *testing.T) {
	env := fakeBroker(t, kfake.SeedTopics(2, "lines"))
	for range 10 {
		commandLine(t, "v\n", env, "produce", "lines", "--partition", "1").must(t, 0)
	}
	var out bytes.Buffer
	s := &shell{Process: Process{Stdout: &out, Environ: env}}
	for there, want := range map[bool]error{true: nil, false: context.Canceled} {
		out.Reset()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r := &reading{left: -1, open: 2, quiet: newQuiet(), spans: map[string]map[int32]span{
			"lines": {0: {0, 5, there}, 1: {0, 12, there}},
		}}
		left := 10
		r.write = func(dst []byte, rec *kgo.Record) []byte {
			if left--; left == 0 && !there {
				time.AfterFunc((quietRounds+3)*fetchWait, cancel)
			}
			return append(dst, rec.Value...)
		}
		cl, err := s.dial(ctx, "", kgo.FetchMaxWait(fetchWait), kgo.WithHooks(r.quiet), kgo.ConsumePartitions(
			map[string]map[int32]kgo.Offset{"lines": {0: kgo.NewOffset().At(0), 1: kgo.NewOffset().At(0)}}))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.readAll(ctx, cl, r); !errors.Is(err, want) || out.Len() != 10 {
			t.Errorf("there %v: %d records, %v", there, out.Len(), err)
		}
		cl.Close()
		cancel()
	}
}

// Goal: key, headers, partition, format and JSON arrive as typed. Method: produce with options, compare with
// a golden file.
func TestRecordForms(t *testing.T) {
	env := fakeBroker(t, kfake.SeedTopics(3, "forms"))
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
	env := fakeBroker(t, kfake.SeedTopics(1, "none", "gzip", "snappy", "lz4", "zstd"))
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
	env := fakeBroker(t, kfake.SeedTopics(1, "slow"))
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
	p := &sending{topic: "t"}
	p.done(nil, nil)
	p.done(nil, kgo.ErrRecordTimeout)
	var f *failure
	err := p.outcome()
	if !errors.As(err, &f) || f.code != exitPartial || !strings.Contains(f.what, "1 record was not accepted") {
		t.Errorf("outcome %v, want partial", err)
	}
	p = &sending{topic: "t"}
	p.done(nil, kgo.ErrRecordTimeout)
	if err := p.outcome(); !errors.As(err, &f) || f.code != exitUnreachable {
		t.Errorf("outcome %v, want unreachable", err)
	}
}
