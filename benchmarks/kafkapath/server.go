package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// process is a server under test.
type process struct {
	cmd     *exec.Cmd
	address string
}

// startServer runs a server and waits for its address: a plain line, or the member's "member ready" log
// entry.
func startServer(command []string) (*process, error) {
	p := &process{cmd: exec.Command(command[0], command[1:]...)}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	w.Close()
	lines := bufio.NewScanner(r)
	var said []string
	for p.address == "" && lines.Scan() {
		said = append(said, lines.Text())
		p.address = addressIn(lines.Text())
	}
	if p.address == "" {
		_ = p.cmd.Wait()
		return nil, fmt.Errorf("%s ended without an address: %s", command[0], strings.Join(said, "\n"))
	}
	go func() {
		_, _ = io.Copy(io.Discard, r) // until the process ends
		r.Close()
	}()
	return p, nil
}

func addressIn(line string) string {
	var entry struct{ Msg, Kafka string }
	if json.Unmarshal([]byte(line), &entry) == nil {
		return entry.Kafka
	}
	if strings.HasPrefix(line, "127.0.0.1:") {
		return line
	}
	return ""
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) stop() {
	_ = p.cmd.Process.Kill() // its directory goes with it
	_ = p.cmd.Wait()
}
