package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-io/millstream/topology/topologytest"
)

// Goal: the program does what it says, and leaves nothing behind. Method: run all of it with a temporary
// folder of its own; look at what it printed, at the folder and at the goroutines.
func TestProgram(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out, 2); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"   I. A SCANDAL IN BOHEMIA", "lines in", "lines out"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not print %q:\n%s", want, out.String())
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Goal: the topology keeps lines with an "a" and writes them in capitals. Method: the test driver, without a
// member.
func TestTransformer(t *testing.T) {
	topo, err := Transformer()
	if err != nil {
		t.Fatal(err)
	}
	d := topologytest.New(t, topo)
	for _, line := range []string{"a cat", "by", "SHOUTED", "late"} {
		topologytest.Send(d, Lines, "", line)
	}
	topologytest.Expect(d, Upper, topologytest.P("", "A CAT"), topologytest.P("", "LATE"))
}
