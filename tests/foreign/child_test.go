package foreign

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// limit is how long a fact may take; generous, because the machine may be busy and some clients are slow to begin.
const limit = 90 * time.Second

// child is a script that plays a role.
type child struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}
	err   error // after ended

	mu     sync.Mutex
	lines  []string
	said   bytes.Buffer // on standard error
	onLine func(line string)
}

// play starts a script. onLine, where it is not nil, gets each line as it comes, one at a time. The process is
// killed when the test ends.
func play(t testing.TB, name string, cmd *exec.Cmd, onLine func(line string)) *child {
	t.Helper()
	c := &child{t: t, name: name, cmd: cmd, ended: make(chan struct{}), onLine: onLine}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interpreter may begin another process
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &lockedWriter{c}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	go c.read(out)
	return c
}

type lockedWriter struct{ c *child }

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.c.said.Len() < 64<<10 {
		w.c.said.Write(p)
	}
	return len(p), nil
}

func (c *child) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // what a killed process left of a line is no fact
		}
		line = strings.TrimSuffix(line, "\n")
		c.mu.Lock()
		c.lines = append(c.lines, line)
		c.mu.Unlock()
		if c.onLine != nil {
			c.onLine(line)
		}
	}
	c.err = c.cmd.Wait()
	close(c.ended)
}

// kill ends the process at once, with those that it began, and waits for its end.
func (c *child) kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-c.ended
}

// stop closes the standard input and waits for an end in good order.
func (c *child) stop() {
	c.t.Helper()
	_ = c.stdin.Close()
	c.end()
}

// end waits for an end in good order.
func (c *child) end() {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(limit):
		c.t.Fatalf("%s did not end within %s\n%s", c.name, limit, c.log())
	}
	if c.err != nil {
		c.t.Fatalf("%s: %v\n%s", c.name, c.err, c.log())
	}
}

func (c *child) running() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// facts returns what follows the word in the lines that begin with it.
func (c *child) facts(word string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for _, line := range c.lines {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			found = append(found, rest)
		}
	}
	return found
}

// log is the end of what the script has said, on both ways.
func (c *child) log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines[max(0, len(c.lines)-20):]
	said := c.said.String()
	return fmt.Sprintf("%s\n%s", strings.Join(lines, "\n"), said[max(0, len(said)-6000):])
}
