package lint

import (
	"slices"
	"strings"
	"testing"
)

// control is a source text that breaks exactly one rule, and a harmless neighbour of it.
type control struct {
	rule, name string
	bad        string
	goodName   string // "" = name
	good       string
}

func lines(n int) string { return strings.Repeat("\t_ = 0\n", n) }

var controls = []control{
	{"import-order", "state/a.go", `package state; import _ "` + module + `/partition"`,
		"partition/a.go", `package partition; import _ "` + module + `/state"`},
	{"import-order", "topology/a.go", `package topology; import _ "` + module + `/partition/config"`,
		"topology/a.go", `package topology; import _ "` + module + `/state/serde"`},
	{"import-order", "topology/a.go", `package topology; import _ "` + module + `/state/engine"`,
		"actors/a.go", `package actors; import _ "` + module + `/state"`},
	{"import-order", "cluster/a.go", `package cluster; import _ "` + module + `/cmd/millstream/cli"`,
		"cmd/a.go", `package main; import _ "` + module + `/cluster"`},
	{"only-importer", "actors/pool/a.go", `package pool; import _ "github.com/asynkron/protoactor-go/actor"`,
		"actors/a.go", `package actors; import _ "github.com/asynkron/protoactor-go/actor"`},
	{"only-importer", "cluster/a.go", `package cluster; import _ "github.com/dgraph-io/badger/v4"`,
		"state/engine/a.go", `package engine; import _ "github.com/dgraph-io/badger/v4"`},
	{"only-importer", "actors/replica/a.go", `package replica; import _ "go.etcd.io/raft/v3"`,
		"actors/link/a.go", `package link; import _ "go.etcd.io/raft/v3/raftpb"`},
	{"only-importer", "cluster/broker/a.go", `package broker; import _ "github.com/twmb/franz-go/pkg/kmsg"`,
		"cluster/gateway/kafka/a.go", `package kafka; import _ "github.com/twmb/franz-go/pkg/kmsg"`},
	{"only-importer", "cluster/client/a.go", `package client; import _ "github.com/twmb/franz-go/pkg/kgo"`,
		"cluster/client/a_test.go", `package client; import _ "github.com/twmb/franz-go/pkg/kgo"`},
	{"only-importer", "partition/a.go", `package partition; import _ "` + module + `/state/engine"`,
		"partition/partitiontest/a.go", `package partitiontest; import _ "` + module + `/state/engine"`},
	{"only-importer", "cluster/a.go", `package cluster; import _ "` + module + `/partition/partitiontest"`,
		"cluster/a_test.go", `package cluster; import _ "` + module + `/partition/partitiontest"`},
	{"only-importer", "cluster/a.go", `package cluster; import _ "github.com/prometheus/client_golang/prometheus"`,
		"cluster/observe/a.go", `package observe; import _ "github.com/prometheus/client_golang/prometheus"`},
	{"kinds-apart", "actors/task/a.go", `package task; import _ "` + module + `/actors/replica"`,
		"actors/task/a.go", `package task; import _ "` + module + `/actors/identity"`},
	{"function-length", "state/a.go", "package state\nfunc f() {\n" + lines(69) + "}\n",
		"", "package state\nfunc f() {\n" + lines(68) + "}\n"},
	{"file-length", "state/a.go", "package state\n" + strings.Repeat("// x\n", 600),
		"", "package state\n" + strings.Repeat("// x\n", 599)},
	{"file-name", "state/string_utils.go", "package state", "state/stringer.go", "package state"},
	{"file-name", "state/helpers_test.go", "package state", "state/tail_test.go", "package state"},
	{"documented", "state/a.go", "package state\nfunc F() {}", "", "package state\n// F is.\nfunc F() {}"},
	{"documented", "state/a.go", "package state\n// T is.\ntype T[K any] struct{}\nfunc (t *T[K]) M() {}",
		"", "package state\ntype t struct{}\nfunc (t) M() {}"},
	{"documented", "state/a.go", "package state\nconst (\n\tA = 1\n)",
		"", "package state\n// The letters.\nconst (\n\tA = 1\n)"},
	{"documented", "state/a.go", "package state\ntype T struct{}", "", "package state\n// T is.\ntype T struct{}"},
	{"goroutine-place", "cluster/broker/a.go", "package broker\nfunc f() { go f() }",
		"cluster/gateway/kafka/a.go", "package kafka\nfunc f() { go f() }"},
	{"goroutine-place", "actors/a.go", "package actors\nimport \"sync\"\nfunc f(w *sync.WaitGroup) { w.Go(nil) }",
		"actors/a.go", "package actors\nfunc f(w interface{ Go(func()) }) { w.Go(nil) }"},
	{"pure-core", "partition/a.go", "package partition\nimport \"time\"\nvar t = time.Now()",
		"partition/a.go", "package partition\nimport \"time\"\nvar t = time.Second"},
	{"pure-core", "partition/a.go", "package partition\nimport clock \"time\"\nvar t = clock.Now",
		"partition/a_test.go", "package partition\nimport clock \"time\"\nvar t = clock.Now"},
	{"pure-core", "partition/a.go", "package partition\nimport \"sync\"\nvar m sync.Mutex",
		"partition/a.go", "package partition\nimport \"sync/atomic\"\nvar m atomic.Int64"},
	{"pure-core", "topology/task/a.go", "package task\nimport _ \"os\"",
		"topology/a.go", "package topology\nimport _ \"os\""},
	{"pure-core", "partition/a.go", "package partition\nimport \"math/rand/v2\"\nvar x = rand.IntN(3)",
		"partition/a.go", "package partition\nimport \"math/rand/v2\"\nvar x = rand.New(rand.NewPCG(1, 2))"},
	{"plain-actor", "actors/replica/a.go", "package replica\nvar c chan int",
		"actors/pool/a.go", "package pool\nvar c chan int"},
	{"plain-actor", "actors/task/a.go", "package task\nimport \"sync\"\ntype t struct{ m sync.RWMutex }",
		"actors/task/a.go", "package task\nimport \"sync/atomic\"\ntype t struct{ m atomic.Bool }"},
	{"plain-actor", "actors/task/a.go", "package task\nimport \"time\"\nfunc f() { time.Sleep(1) }",
		"actors/task/a.go", "package task\nimport \"time\"\nvar d time.Duration"},
	{"no-sleep", "state/a_test.go", "package state\nimport \"time\"\nfunc f() { time.Sleep(1) }",
		"state/a.go", "package state\nimport \"time\"\nfunc f() { time.Sleep(1) }"},
	{"environment", "cluster/a.go", "package cluster\nimport \"os\"\nvar v = os.Getenv(\"A\")",
		"cmd/millstream/cli/a.go", "package cli\nimport \"os\"\nvar v = os.Getenv(\"A\")"},
	{"process-wide", "cluster/a.go", "package cluster\nimport \"os\"\nfunc f() { os.Exit(1) }",
		"cmd/millstream/main.go", "package main\nimport \"os\"\nfunc f() { os.Exit(1) }"},
	{"panic-place", "state/a.go", "package state\nfunc f() { panic(1) }",
		"state/must.go", "package state\nfunc f() { panic(1) }"},
	{"unfinished", "state/a.go", "package state // TO" + "DO: more", "", "package state // TODOS are fine"},
	{"unfinished", "state/a.go", "package state // not " + "implemented", "", "package state // implemented"},
}

// Goal: no rule is blind. Method: each rule gets a source text that breaks it and must report it, and a
// harmless neighbour about which it must be silent; a rule without a control fails.
func TestNegativeControls(t *testing.T) {
	byName := make(map[string]rule)
	for _, r := range rules() {
		byName[r.name] = r
	}
	var covered []string
	for _, c := range controls {
		covered = append(covered, c.rule)
		r := byName[c.rule]
		if r.check == nil {
			t.Fatalf("control for %s: no such rule", c.rule)
		}
		if n := len(r.check(parsed(t, c.name, c.bad))); n == 0 {
			t.Errorf("%s misses this in %s:\n%s", c.rule, c.name, c.bad)
		}
		name := c.goodName
		if name == "" {
			name = c.name
		}
		if f := r.check(parsed(t, name, c.good)); len(f) > 0 {
			t.Errorf("%s cries wolf: %s\n%s", c.rule, f[0], c.good)
		}
	}
	covered = append(covered, "doc-go") // below
	for _, r := range rules() {
		if !slices.Contains(covered, r.name) {
			t.Errorf("rule %s has no negative control", r.name)
		}
	}
}

func parsed(t *testing.T, name, text string) []*source {
	t.Helper()
	s, err := parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return []*source{s}
}

// Goal: a package without doc.go, or with an empty one, is caught. Method: two small trees.
func TestNegativeControlDocGo(t *testing.T) {
	long := "// Package state owns " + strings.Repeat("very much, ", 10) + "indeed.\npackage state"
	file := parsed(t, "state/a.go", "package state")
	if len(docGo(file)) != 1 {
		t.Error("a package without doc.go was not caught")
	}
	if len(docGo(append(file, parsed(t, "state/doc.go", "// Package state.\npackage state")...))) != 1 {
		t.Error("a doc.go that says nothing was not caught")
	}
	if f := docGo(append(file, parsed(t, "state/doc.go", long)...)); len(f) != 0 {
		t.Errorf("a good doc.go was refused: %v", f)
	}
}

// Goal: generated code is exempt from the rules about shape, and only from those. Method: a long generated
// file.
func TestGeneratedIsExempt(t *testing.T) {
	head := "// Code generated by protoc-gen-go. DO NOT EDIT.\n\n"
	src := parsed(t, "proto/a.pb.go", head+"package proto\nfunc F() {\n"+lines(700)+"}\n")
	if n := len(functionLength(src[0])) + len(fileLength(src[0])) + len(documented(src[0])); n != 0 {
		t.Errorf("%d findings about the shape of generated code", n)
	}
	src = parsed(t, "proto/a.pb.go", head+`package proto; import _ "`+module+`/state"`)
	if len(importOrder(src[0])) == 0 {
		t.Error("generated code may import upwards")
	}
}

// Goal: the ratchet lets known exceptions pass, and only those, and reports stale ones. Method: two findings,
// one known, one stale exception; a line without a reason is refused.
func TestRatchet(t *testing.T) {
	known, err := parseRatchet("# comment\n\nr a.go x # old code\nr b.go y # gone since\n")
	if err != nil {
		t.Fatal(err)
	}
	left, stale := settle([]finding{{"r", "a.go", "x", "w"}, {"r", "a.go", "z", "w"}}, known)
	if len(left) != 1 || left[0].subject != "z" {
		t.Errorf("left %v, want z", left)
	}
	if len(stale) != 1 || stale[0].key != "r b.go y" {
		t.Errorf("stale %v, want r b.go y", stale)
	}
	if _, err := parseRatchet("r a.go x"); err == nil {
		t.Error("an exception without a reason was taken")
	}
}

// Goal: the check of linked packages sees what it looks for. Method: a package that is known to link the
// library.
func TestNegativeControlLinked(t *testing.T) {
	all := []string{"fmt", "github.com/dgraph-io/badger/v4", module + "/state"}
	if got := banned(all, []string{"github.com/dgraph-io/badger"}); len(got) != 1 {
		t.Errorf("banned %v, want the one", got)
	}
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	if got := linked(t, dir, "./tests/lint"); !slices.Contains(got, "go/ast") {
		t.Error("go list did not name what this package links")
	}
}
