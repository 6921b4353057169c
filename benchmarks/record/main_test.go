package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Goal: the output of a program that ends well replaces that of an earlier run, and that of one that fails
// does not. Method: programs that are functions, one of which fails half-way.
func TestRun(t *testing.T) {
	out := t.TempDir()
	for _, name := range []string{"coldread", "coldread-1k"} {
		if err := os.WriteFile(filepath.Join(out, name+".txt"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := settings{out: out, dir: "/disk", quick: true, only: regexp.MustCompile("^coldread(-1k)?$")}
	broken := errors.New("broken")
	err := c.run(func(r run, options []string, w io.Writer) error {
		_, _ = io.WriteString(w, strings.Join(options, " ")+"\n")
		if r.name == "coldread-1k" {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	for name, want := range map[string]string{
		"coldread": "-dir /disk -quick\n# go run ./benchmarks/coldread -quick\n", "coldread-1k": "old",
	} {
		got, err := os.ReadFile(filepath.Join(out, name+".txt"))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 2 {
		t.Errorf("%v are left, %v", left, err)
	}
}
