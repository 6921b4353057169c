package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startLimit is how long a member may take to be ready; generous, because the machine may be busy.
const startLimit = 60 * time.Second

// Server is a member that runs as a process of its own.
type Server struct {
	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}

	mu    sync.Mutex
	lines []string
	kafka string
	http  string
	ready chan struct{}
}

// StartServer runs `millstream server` on a data directory and waits until it is ready. Options follow those
// that every test needs. The process is killed when the test ends.
func StartServer(t testing.TB, dir string, options ...string) *Server {
	t.Helper()
	s, err := TryServer(t, dir, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TryServer is StartServer for a member that may not start: the error says that it ended before it was ready,
// or was not ready in time, and holds its log. The Server is there also then; it tells how the process ended.
func TryServer(t testing.TB, dir string, options ...string) (*Server, error) {
	t.Helper()
	args := append([]string{
		"server", "--data", dir, "--kafka-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
	}, options...)
	return TryProgram(t, exec.Command(Binary(t), args...))
}

// TryProgram is TryServer for any program that runs a member whose log, in JSON, goes to its standard error.
func TryProgram(t testing.TB, cmd *exec.Cmd) (*Server, error) {
	t.Helper()
	s := &Server{t: t, cmd: cmd, ended: make(chan struct{}), ready: make(chan struct{})}
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	go s.read(out)
	select {
	case <-s.ready:
		return s, nil
	case <-s.ended:
		return s, fmt.Errorf("the member ended before it was ready:\n%s", s.Log())
	case <-time.After(startLimit):
		return s, fmt.Errorf("the member was not ready within %s:\n%s", startLimit, s.Log())
	}
}

// Kafka is the address of the Kafka door.
func (s *Server) Kafka() string { return s.kafka }

// HTTP is the address of the HTTP door.
func (s *Server) HTTP() string { return s.http }

// Pid is the process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill ends the process at once, as a crash of the process would, and waits for its end. It is idempotent.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop asks the process to end in good order and waits for its end.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// End waits for the end of a process that was told to end or is ending by itself, and returns its exit
// status: -1 where a signal ended it. It fails the test where the process does not end in time.
func (s *Server) End() int {
	s.t.Helper()
	select {
	case <-s.ended:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(startLimit):
		s.t.Fatalf("the member did not end within %s:\n%s", startLimit, s.Log())
		return 0
	}
}

// Running reports whether the process has not ended.
func (s *Server) Running() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Log is what the member has logged.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func (s *Server) end(sig syscall.Signal) {
	if s.Running() {
		_ = s.cmd.Process.Signal(sig) // it may have ended in this moment
	}
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		_ = s.cmd.Process.Kill()
		s.t.Errorf("the member did not end within %s of %s:\n%s", startLimit, sig, s.Log())
	}
}

// read keeps the log and waits for the process.
func (s *Server) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.take(lines.Text())
	}
	_ = s.cmd.Wait() // how it ended is told by what the test finds
	close(s.ended)
}

func (s *Server) take(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	var entry struct{ Msg, Kafka, HTTP string }
	if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "member ready" && s.kafka == "" {
		s.kafka, s.http = entry.Kafka, entry.HTTP
		close(s.ready)
	}
}
