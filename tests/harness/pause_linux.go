package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Pause stops the process where it stands, and returns when none of its threads runs any more. Only Kill
// works then.
func (s *Server) Pause() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatalf("stop the member: %v", err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(startLimit); !s.stopped(); {
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatalf("the member still ran %s after SIGSTOP", startLimit)
		}
	}
}

// stopped reports whether every thread is stopped, by a signal or by a tracer.
func (s *Server) stopped() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.Pid()))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if err != nil {
			return false
		}
		_, after, _ := strings.Cut(string(b), ") ") // the name before it may hold spaces
		if !strings.HasPrefix(after, "T") && !strings.HasPrefix(after, "t") {
			return false
		}
	}
	return true
}
