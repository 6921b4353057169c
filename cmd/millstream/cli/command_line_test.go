package cli

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// outcome is what one command line did.
type outcome struct {
	code           int
	stdout, stderr string
}

// commandLine runs one command line in this process, with a limit of time.
func commandLine(t *testing.T, stdin string, environ []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, Process{
		Args: append([]string{"millstream"}, args...), Environ: environ,
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
	})
	return outcome{code, out.String(), errs.String()}
}

// memberWith starts a member in this process with topics of some partitions, and returns the environment that points at
// its gRPC door.
func memberWith(t *testing.T, partitions int, topics ...string) []string {
	t.Helper()
	m, err := cluster.Start(t.Context(), cluster.Config{DataDir: t.TempDir(), GRPC: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	for _, name := range topics {
		if _, err := m.Client().CreateTopic(t.Context(), client.NewTopic{Name: name, Partitions: partitions}); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"MILLSTREAM_ADDR=" + m.GRPCAddr()}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -rewrite accepts\n got: %s\nwant: %s", name, got, want)
	}
}

// must fails the test unless the command line ended with the code.
func (o outcome) must(t *testing.T, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", o.code, code, o.stdout, o.stderr)
	}
	return o
}

// says fails the test unless standard error contains every text.
func (o outcome) says(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.stderr, text) {
			t.Errorf("standard error does not say %q:\n%s", text, o.stderr)
		}
	}
}
