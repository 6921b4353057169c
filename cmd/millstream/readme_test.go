package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const repository = "../.." // seen from this package

// Goal: the lines of README's "First five minutes" work as they are printed. Method: read them from
// README.md, type each into bash against a binary built from this tree while the demonstration runs, and look
// at what they print. Two things differ from a reader's terminal: where the binary is built to, and the ports
// where 7070 and 9092 are in use.
func TestFirstFiveMinutes(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is needed to type README's lines")
	}
	lines := readmeLines(t, "## First five minutes")
	expect := map[string]func(*testing.T, string){
		"go build":                       func(*testing.T, string) {},
		"millstream topic ls":            contains("text-input", "text-output"),
		"millstream consume text-output": fiveCapitals,
		"cat README.md":                  func(*testing.T, string) {},
		"millstream consume lines":       sameAs("README.md"),
		"kcat":                           tenLines,
		"go run ./cmd/examples/texttran": contains("A SCANDAL IN BOHEMIA", "lines out"),
	}
	bin := t.TempDir()
	var env []string
	doors := map[string]string{}
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			check := matchingCheck(t, expect, line)
			if strings.HasPrefix(line, "kcat") {
				if _, err := exec.LookPath("kcat"); err != nil {
					t.Skip("kcat is not installed")
				}
			}
			typed := strings.ReplaceAll(line, "bin/millstream", bin+"/millstream")
			typed = strings.ReplaceAll(typed, "127.0.0.1:9092", doors["Kafka"])
			check(t, bash(t, append(env, "PATH="+bin+":"+os.Getenv("PATH")), typed))
		})
		if t.Failed() {
			return
		}
		if env == nil {
			doors = startDemo(t, filepath.Join(bin, "millstream"))
			env = []string{"MILLSTREAM_ADDR=" + doors["gRPC"]}
		}
	}
	if len(lines) != len(expect) {
		t.Errorf("%d lines in README, %d expected", len(lines), len(expect))
	}
}

// readmeLines returns the lines of the first block of shell commands under a heading.
func readmeLines(t *testing.T, heading string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), heading)
	_, rest, _ = strings.Cut(rest, "```sh\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok || strings.TrimSpace(block) == "" {
		t.Fatalf("README has no commands under %q", heading)
	}
	return strings.Split(strings.TrimSpace(block), "\n")
}

func matchingCheck(t *testing.T, expect map[string]func(*testing.T, string), line string) func(*testing.T, string) {
	t.Helper()
	for prefix, check := range expect {
		if strings.HasPrefix(line, prefix) {
			return check
		}
	}
	t.Fatalf("README has a line that nothing is expected of: %q", line)
	return nil
}

// bash types one line and returns what it prints; any other exit code than 0 fails.
func bash(t *testing.T, env []string, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", line, err, out, errs.String())
	}
	return string(out)
}

var doorLine = regexp.MustCompile(`^ +(Kafka|gRPC) +(\S+)`)

// startDemo starts the demonstration, waits until it shows a line that came out, and returns the addresses of
// its doors by their names. At the end of the test it is interrupted, has to end well, and must leave no data behind.
func startDemo(t *testing.T, binary string) (doors map[string]string) {
	t.Helper()
	tmp := t.TempDir()
	cmd := exec.Command(binary, "dev", "--demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen, ended := make(chan map[string]string, 1), make(chan string, 1)
	go watchDemo(errs, seen, ended)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		text := <-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demonstration ended with %v:\n%s", err, text)
		}
		if left, _ := os.ReadDir(tmp); len(left) > 0 {
			t.Errorf("the demonstration left %s behind", left[0].Name())
		}
	})
	select {
	case doors = <-seen:
	case text := <-ended:
		ended <- text
		t.Fatalf("the demonstration ended:\n%s", text)
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatal("the demonstration showed nothing within a minute")
	}
	return doors
}

// watchDemo reads what the demonstration says: the addresses once a line has come out, and in the end all of
// it.
func watchDemo(r io.Reader, seen chan<- map[string]string, ended chan<- string) {
	var all strings.Builder
	doors, told := map[string]string{}, false
	for scan := bufio.NewScanner(r); scan.Scan(); {
		line := scan.Text()
		fmt.Fprintln(&all, line)
		if m := doorLine.FindStringSubmatch(line); m != nil && !told {
			doors[m[1]] = m[2]
		}
		if strings.HasPrefix(line, "  out  ") && len(doors) == 2 && !told {
			told = true
			seen <- doors
		}
	}
	ended <- all.String()
}

func contains(texts ...string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("%q is not in:\n%s", text, out)
			}
		}
	}
}

func sameAs(file string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		want, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			t.Fatal(err)
		}
		if out != string(want) {
			t.Errorf("%d bytes came back, %s has %d", len(out), file, len(want))
		}
	}
}

func fiveCapitals(t *testing.T, out string) {
	if strings.Count(out, "\n") != 5 || strings.ToUpper(out) != out || strings.TrimSpace(out) == "" {
		t.Errorf("not five lines in capitals:\n%s", out)
	}
}

func tenLines(t *testing.T, out string) {
	if strings.Count(out, "\n") != 10 {
		t.Errorf("not ten lines:\n%s", out)
	}
}

// Goal: the topology in README is code that runs. Method: every line of it stands in the example, in that
// order.
func TestReadmeTopologyIsTheExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(repository, "cmd/examples/texttransformer/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "## Write a topology")
	_, rest, _ = strings.Cut(rest, "```go\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("README shows no topology")
	}
	left := string(example)
	for line := range strings.Lines(block) {
		if _, left, ok = strings.Cut(left, line); !ok {
			t.Fatalf("the example has no line %q where README has it", line)
		}
	}
}

// Goal: README's table names every example, each by a command that runs it. Method: compare the table with the
// folders that hold a program; their own tests run the programs.
func TestReadmeNamesTheExamples(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "## Examples")
	table, _, _ := strings.Cut(rest, "\n## ")
	row := regexp.MustCompile("\n\\| `go run \\./cmd/examples/([a-z0-9]+)` \\|")
	var named []string
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		named = append(named, m[1])
	}
	programs, err := filepath.Glob(filepath.Join(repository, "cmd/examples/*/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, p := range programs {
		there = append(there, filepath.Base(filepath.Dir(p)))
	}
	slices.Sort(named)
	if !slices.Equal(named, there) {
		t.Errorf("README names %v, the folders are %v", named, there)
	}
}
