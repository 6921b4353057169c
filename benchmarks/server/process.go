package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Build builds a command of this module into dir, and returns its path. The working directory is the
// module's.
func Build(dir, pkg string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// Command is the command line of a member with free ports, but for its last word: the data directory.
func Command(binary string, options ...string) []string {
	c := []string{binary, "server", "--kafka-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"}
	c = append(c, options...)
	return append(c, "--data")
}

// Member is the command line of a member on a data directory, with free ports.
func Member(binary, data string, options ...string) []string {
	return append(Command(binary, options...), data)
}

// Process is a server that runs.
type Process struct {
	Kafka string        // address of its Kafka door, or of the only door that it has
	GRPC  string        // address of its gRPC door, empty where it has none
	HTTP  string        // address of its HTTP door, empty where it has none
	Ready time.Duration // from its start until it said that it is ready

	cmd *exec.Cmd
}

// Start runs a server and waits until it says its address: in a plain line, or in a member's log entry
// "member ready".
func Start(command []string) (*Process, error) { return StartSaying(command, addresses) }

// StartSaying is Start for a server that says in words of its own that it is ready: said gets every line, and
// fills in the addresses once it knows them.
func StartSaying(command []string, said func(p *Process, line string)) (*Process, error) {
	p := &Process{cmd: exec.Command(command[0], command[1:]...)}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	begin := time.Now()
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	lines := bufio.NewScanner(r)
	var all []string
	for p.Kafka == "" && lines.Scan() {
		all = append(all, lines.Text())
		said(p, lines.Text())
	}
	p.Ready = time.Since(begin)
	if p.Kafka == "" {
		p.Kill()
		r.Close()
		return nil, fmt.Errorf("%s ended without an address: %s", command[0], strings.Join(all, "\n"))
	}
	go func() {
		_, _ = io.Copy(io.Discard, r) // until the process ends
		r.Close()
	}()
	return p, nil
}

func addresses(p *Process, line string) {
	var entry struct{ Msg, Kafka, GRPC, HTTP string }
	if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "member ready" {
		p.Kafka, p.GRPC, p.HTTP = entry.Kafka, entry.GRPC, entry.HTTP
	}
	if strings.HasPrefix(line, "127.0.0.1:") {
		p.Kafka = line
	}
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Kill ends the process at once and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// Stop asks the process to end in good order and waits for its end.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}
