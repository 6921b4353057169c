package cli

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// console is a standard error that can be watched while it is written.
type console struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // has room for one: something is new
}

// Write is as io.Writer's.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.wrote <- struct{}{}:
	default:
	}
	return c.text.Write(p)
}

func (c *console) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// background is a command line that runs until it is interrupted.
type background struct {
	t         *testing.T
	console   *console
	interrupt context.CancelFunc
	code      chan int
}

func inBackground(t *testing.T, args ...string) *background {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &background{t, &console{wrote: make(chan struct{}, 1)}, cancel, make(chan int, 1)}
	go func() {
		b.code <- run(ctx, Process{Args: append([]string{"millstream"}, args...), Stdin: strings.NewReader(""),
			Stdout: b.console, Stderr: b.console})
	}()
	return b
}

// says waits until the command has printed what the pattern matches, and returns the first group.
func (b *background) says(pattern string) string {
	b.t.Helper()
	limit := time.After(time.Minute)
	for {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(b.console.all()); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-b.console.wrote:
		case code := <-b.code:
			b.t.Fatalf("the command ended with %d:\n%s", code, b.console.all())
		case <-limit:
			b.t.Fatalf("%q was not said:\n%s", pattern, b.console.all())
		}
	}
}

// ends interrupts the command and wants exit code 0.
func (b *background) ends() {
	b.t.Helper()
	b.interrupt()
	select {
	case code := <-b.code:
		if code != 0 {
			b.t.Errorf("exit code %d after an interrupt, want 0:\n%s", code, b.console.all())
		}
	case <-time.After(time.Minute):
		b.t.Fatalf("an interrupt does not end the command:\n%s", b.console.all())
	}
}

const grpcLine = `gRPC +(\S+)`

// Goal: dev makes topics on first use, is gone without a trace after an interrupt, and takes a free port when
// the usual one is in use, but not when that one was asked for. Method: run it in this process and look.
func TestDev(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Setenv("TMPDIR", t.TempDir())
	takePorts(t, defaultBrokers, defaultHTTP, defaultGRPC)
	b := inBackground(t, "dev")
	b.says("9092 is in use: taking a free port")
	b.says("7070 is in use: taking a free port")
	b.says("8080 is in use: taking a free port")
	b.says(`HTTP +http://127\.0\.0\.1:\d+/metrics`)
	env := []string{"MILLSTREAM_ADDR=" + b.says(grpcLine)}
	commandLine(t, "a\n", env, "produce", "new").must(t, 0)
	if o := commandLine(t, "", env, "consume", "new", "--exit-at-end").must(t, 0); o.stdout != "a\n" {
		t.Errorf("consumed %q, want a", o.stdout)
	}
	commandLine(t, "", env, "consume", "unread", "--exit-at-end").must(t, exitNotFound) // reading makes nothing
	b.ends()
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, option := range []string{"--kafka=" + defaultBrokers, "--grpc=" + defaultGRPC, "--http=" + defaultHTTP} {
		o := commandLine(t, "", nil, "dev", option).must(t, exitConflict)
		o.says(t, "did not start", "address already in use", option[:6])
	}
}

// takePorts has the addresses taken until the test ends: by itself, or by somebody who has them for longer. A test of
// another package may have one for a while: taken is only what stays so.
func takePorts(t *testing.T, addresses ...string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for _, addr := range addresses {
		for theirs := false; !theirs; {
			l, err := net.Listen("tcp", addr)
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
				break
			}
			select {
			case <-tick.C:
			case <-limit:
				t.Logf("%s is not ours: %v", addr, err)
				theirs, limit = true, time.After(0)
			}
		}
	}
}

// Goal: dev keeps its data where it is told to. Method: two runs on one directory.
func TestDevKeepsData(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []string{"a\n", "a\na\n"} {
		b := inBackground(t, "dev", "--data", dir, "--kafka", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
		env := []string{"MILLSTREAM_ADDR=" + b.says(grpcLine)}
		commandLine(t, "a\n", env, "produce", "kept").must(t, 0)
		if o := commandLine(t, "", env, "consume", "kept", "--exit-at-end").must(t, 0); o.stdout != want {
			t.Errorf("run %d: %q, want %q", i, o.stdout, want)
		}
		b.ends()
	}
}

// Goal: the demonstration shows lines going in and coming out, tells what to type, and ends well. Method: run
// it.
func TestDemo(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := inBackground(t, "dev", "--demo", "--kafka", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
	b.says(`in   by\n +no "a": dropped`)
	b.says(`out +I. A SCANDAL IN BOHEMIA`)
	b.says(`MILLSTREAM_ADDR=127\.0\.0\.1:\d+ millstream consume text-output -o -5`)
	b.ends()
}

// Goal: a server makes no topics by itself, logs JSON, refuses a directory that is in use, and ends well when
// told to. Method: run one, talk to it, start a second one on the same directory.
func TestServer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	b := inBackground(t, "server", "--data", dir, "--kafka-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0",
		"--http-listen", "127.0.0.1:0")
	ready := b.says(`"msg":"member ready".*"http":"([^"]+)"`)
	if resp, err := http.Get("http://" + ready + "/readyz"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("ready: %v, error %v", resp, err)
	} else {
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
	env := []string{"MILLSTREAM_ADDR=" + b.says(`"msg":"member ready".*"grpc":"([^"]+)"`)}
	commandLine(t, "a\n", env, "produce", "new").must(t, exitNotFound).says(t, "millstream topic create new")
	commandLine(t, "", env, "topic", "create", "new").must(t, 0)
	commandLine(t, "a\n", env, "produce", "new").must(t, 0)
	commandLine(t, "a\n", env, "produce", "new", "--partition", "7").must(t, exitFailure).says(t, "topic describe new")
	commandLine(t, strings.Repeat("x", 2<<20), env, "produce", "new").must(t, exitFailure).says(t, "max.message.bytes")
	commandLine(t, "", env, "topic", "create", "keyed", "--config", "cleanup.policy=compact").must(t, 0)
	commandLine(t, "a\n", env, "produce", "keyed").must(t, exitFailure).says(t, "a key only")
	commandLine(t, "", env, "topic", "create", "c", "--config", "retenton.ms=1").must(t, exitFailure).
		says(t, "nearest is retention.ms")
	commandLine(t, "", nil, "server", "--data", dir, "--kafka-listen", "127.0.0.1:0").must(t, exitFailure).
		says(t, "in use by another")
	b.ends()
}
