package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a terminal that remembers.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) IsTerminal() bool { return true }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Goal: work that takes longer than a second shows how far it is, on standard error and only where that is a terminal;
// --quiet shows nothing, and standard output carries results only. Method: a file that is sent slowly and read back
// slowly, on a screen of the test's own.
func TestProgress(t *testing.T) {
	t.Parallel()
	env := memberWith(t, 1)
	commandLine(t, "", env, "topic", "create", "lines").must(t, 0)
	file := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("a line\n", 5)), 0o600); err != nil {
		t.Fatal(err)
	}
	slow := []string{"produce", "lines", "--file", file, "--rate", "3"}
	for name, c := range map[string]struct {
		terminal bool
		more     []string
		want     []string
		never    []string
	}{
		"on a terminal": {true, nil, []string{"sending lines.txt", "of 35.0 b", "%", "sent 5 records to lines"}, nil},
		"quiet":         {true, []string{"--quiet"}, nil, []string{"sending", "sent"}},
		"elsewhere":     {false, nil, nil, []string{"sending", "sent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var out, plain bytes.Buffer
			eyes := &screen{}
			p := Process{
				Args: append([]string{"millstream"}, append(slow, c.more...)...), Environ: env,
				Stdin: strings.NewReader(""), Stdout: &out, Stderr: &plain,
			}
			if c.terminal {
				p.Stderr = eyes
			}
			if code := run(ctx, p); code != 0 || out.Len() > 0 {
				t.Fatalf("exit code %d, on standard output: %q\n%s%s", code, &out, eyes, &plain)
			}
			said := eyes.String() + plain.String()
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("it does not say %q: %q", w, said)
				}
			}
			for _, w := range c.never {
				if strings.Contains(said, w) {
					t.Errorf("it says %q: %q", w, said)
				}
			}
		})
	}
}

// Goal: a meter stays away from short work and from work whose size nobody knows, and takes away what it has shown.
// Method: meters with a past of their own.
func TestMeter(t *testing.T) {
	t.Parallel()
	eyes := &screen{}
	s := &shell{Process: Process{Stderr: eyes}}
	if m := s.meter("work", 0, false); m != nil {
		t.Error("a meter of unknown work")
	}
	m := s.meter("work", 10, false)
	m.add(3)
	m.end()
	if said := eyes.String(); said != "" {
		t.Errorf("short work: %q", said)
	}
	m = s.meter("work", 10, false)
	m.began = m.began.Add(-2 * longWork)
	m.add(4)
	m.add(6)
	m.end()
	m.end()
	if said := eyes.String(); !strings.Contains(said, "work") || !strings.Contains(said, "\x1b[") {
		t.Errorf("long work: %q", said)
	}
	s.quiet = true
	if s.meter("work", 10, false) != nil {
		t.Error("a meter in spite of --quiet")
	}
}
