package fault

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// syncCalls are all the ways in which a member makes bytes durable.
const syncCalls = "fsync,fdatasync,msync"

// tracer is strace on a running process.
type tracer struct {
	cmd    *exec.Cmd
	output string
	stderr bytes.Buffer
	ended  chan struct{}
	Detach func() // lets the process run on as before; idempotent
}

// inject makes strace do something with every sync of the member, in all its threads, and returns when it is
// attached.
func inject(t *testing.T, s *harness.Server, what string) *tracer {
	t.Helper()
	needRoot(t, "strace")
	tr := &tracer{output: filepath.Join(work(t), "strace"), ended: make(chan struct{})}
	tr.cmd = exec.Command("strace", "-f", "-p", fmt.Sprint(s.Pid()), "-o", tr.output,
		"-e", "trace="+syncCalls, "-e", "inject="+syncCalls+":"+what)
	tr.cmd.Stderr = &tr.stderr
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = tr.cmd.Wait() // it ends with the process or is told to
		close(tr.ended)
	}()
	tr.Detach = sync.OnceFunc(func() {
		_ = tr.cmd.Process.Signal(syscall.SIGTERM)
		<-tr.ended
	})
	t.Cleanup(tr.Detach)
	harness.Await(t, limit, func() bool { return tr.gone() || tr.traces(s.Pid()) }, "strace to attach")
	if tr.gone() {
		t.Skipf("strace cannot attach: %s", tr.stderr.Bytes())
	}
	return tr
}

func (tr *tracer) gone() bool {
	select {
	case <-tr.ended:
		return true
	default:
		return false
	}
}

// traces reports whether every thread of the process belongs to this tracer.
func (tr *tracer) traces(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), fmt.Sprintf("TracerPid:\t%d\n", tr.cmd.Process.Pid)) {
			return false
		}
	}
	return true
}

// injected is how many syncs strace has answered itself or delayed so far.
func (tr *tracer) injected() int {
	b, err := os.ReadFile(tr.output)
	if err != nil {
		return 0
	}
	return bytes.Count(b, []byte("(INJECTED)")) + bytes.Count(b, []byte("(DELAYED)"))
}
