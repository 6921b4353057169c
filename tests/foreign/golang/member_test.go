package golang

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// limit bounds the waits of one test; it is generous, because the machine may be busy.
	limit = 90 * time.Second
	// pollEvery is how often a fact of another process is looked at.
	pollEvery = 10 * time.Millisecond
)

// binary is the path of the program under test.
var binary string

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // most of the time is waiting: for heartbeats, rebalances, what is tried again
	flag.StringVar(&binary, "binary", "", "the millstream binary to test; empty builds it from this checkout")
	flag.Parse()
	if binary != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "millstream-foreign-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "millstream")
	build := exec.Command("go", "build", "-o", binary, "./cmd/millstream")
	build.Dir = filepath.Join("..", "..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	code := 1
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// await polls a fact and ends the test when it has not come in time. The words name it, as in fmt.Sprintf.
func await(t *testing.T, fact func() bool, what string, args ...any) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.After(limit)
	for !fact() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for "+what, append([]any{limit}, args...)...)
		}
	}
}

// member is a directory with a member on it, which can be killed and started again at its address.
type member struct {
	t       *testing.T
	dir     string
	address string // of the Kafka door
	cmd     *exec.Cmd
	ended   chan struct{}

	mu  sync.Mutex
	log []string
}

// startMember runs a member on a new directory until the test ends.
func startMember(t *testing.T) *member {
	t.Helper()
	m := &member{t: t, dir: t.TempDir(), address: "127.0.0.1:0"}
	m.start()
	t.Cleanup(func() { m.kill() })
	return m
}

// start runs the process and waits until it is ready.
func (m *member) start() {
	m.t.Helper()
	m.cmd = exec.Command(binary, "server", "--data", m.dir, "--kafka-listen", m.address, "--grpc-listen", "", "--http-listen", "",
		"--groups-rebalance-delay", "200ms")
	out, err := m.cmd.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.ended = make(chan struct{})
	ready := make(chan string, 1)
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			m.note(lines.Text(), ready)
		}
		_ = cmd.Wait() // how it ended is told by what the test finds
	}(m.cmd, m.ended)
	select {
	case m.address = <-ready:
	case <-m.ended:
		m.t.Fatalf("the member ended before it was ready:\n%s", m.said())
	case <-time.After(limit):
		m.t.Fatalf("the member was not ready within %s:\n%s", limit, m.said())
	}
}

// note keeps a line of the log and passes on the address that the line of a ready member holds.
func (m *member) note(line string, ready chan<- string) {
	m.mu.Lock()
	m.log = append(m.log, line)
	m.mu.Unlock()
	var entry struct{ Msg, Kafka string }
	if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "member ready" {
		ready <- entry.Kafka
	}
}

func (m *member) said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.log, "\n")
}

// kill ends the process as kill -9 does and waits for its end. It is idempotent.
func (m *member) kill() {
	_ = m.cmd.Process.Kill() // it may have ended
	<-m.ended
}

// crash kills the process and starts the member again on its directory and at its address.
func (m *member) crash() {
	m.t.Helper()
	m.kill()
	m.start()
}
