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

	"github.com/twmb/franz-go/pkg/kfake"
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

// fakeBroker starts another implementation of the protocol, so that the commands are tested apart from the
// engine, and returns the environment that points at it.
func fakeBroker(t *testing.T, opts ...kfake.Opt) []string {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Skipf("the fake broker needs a loopback port: %v", err)
	}
	t.Cleanup(c.Close)
	return []string{"MILLSTREAM_BROKERS=" + strings.Join(c.ListenAddrs(), ",")}
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
