package lint

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// layer gives every top-level folder its height. A package imports lower folders and its own; partition and
// topology stand side by side and never meet.
var layer = map[string]int{
	"proto": 0, "state": 1, "partition": 2, "topology": 2, "actors": 3, "cluster": 4, "cmd": 5,
	"benchmarks": 6, "tests": 6,
}

// testPackages are imported by tests, by the folders tests and benchmarks, and by each other.
var testPackages = []string{
	"state/engine/enginetest", "state/statetest", "partition/partitiontest", "topology/topologytest", "tests/harness",
	"tests/stateful",
}

// clientState is what topology may know of state: it links no engine.
var clientState = []string{"state", "state/serde", "state/mem"}

// kinds are the folders of actors that hold one actor kind each.
var kinds = []string{
	"actors/replica", "actors/group", "actors/txn", "actors/controller", "actors/task", "actors/standby",
	"actors/connector", "actors/query", "actors/registry",
}

// owner says which folders may import what. A pattern ends in /... when it covers the folders below.
type owner struct {
	what  string   // import path, it and everything below it
	may   []string // folders
	tests bool     // any *_test.go too
}

// owners is checked in order: the first row that covers an import decides.
var owners = []owner{
	{what: "github.com/asynkron/protoactor-go", may: []string{"actors"}},
	{what: "github.com/dgraph-io/badger", may: []string{"state/engine/...", "benchmarks/statestore"}},
	{what: "go.etcd.io/raft/v3/raftpb", may: []string{"partition/...", "actors/link/..."}},
	{what: "go.etcd.io/raft", may: []string{"partition/..."}},
	{what: "github.com/twmb/franz-go/pkg/kmsg", tests: true,
		may: []string{"cluster/gateway/kafka/...", "tests/...", "benchmarks/..."}},
	{what: "github.com/twmb/franz-go/pkg/kfake", tests: true,
		may: []string{"tests/...", "benchmarks/..."}},
	{what: "github.com/twmb/franz-go", tests: true,
		may: []string{"cmd/...", "tests/...", "benchmarks/..."}},
	{what: "github.com/prometheus", may: []string{"cluster/observe/..."}},
	{what: "go.opentelemetry.io", may: []string{"cluster/observe/..."}},
	{what: "google.golang.org/grpc", tests: true, may: []string{
		"proto/api/...", "cluster/gateway/grpc/...", "cluster/client/remote/...", "tests/...", "benchmarks/...",
	}},
	{what: "google.golang.org/genproto", tests: true, may: []string{
		"proto/api/...", "cluster/gateway/grpc/...", "cluster/client/remote/...",
	}},
	{what: "github.com/HdrHistogram/hdrhistogram-go", may: []string{"benchmarks/...", "cmd/..."}},
	{what: "github.com/vbauerster/mpb", may: []string{"cmd/..."}},
	{what: "github.com/urfave/cli", may: []string{"cmd/..."}},
	{what: "github.com/knadh/koanf", may: []string{"cmd/..."}},
	{what: "github.com/goccy/go-yaml", may: []string{"cmd/..."}},
	{what: module + "/state/engine", tests: true, may: []string{
		"state/engine/...", "cluster/...", "benchmarks/...", "tests/...", "partition/partitiontest/...",
	}},
}

// covers reports whether an import path is what or lies below it, also in another major version.
func covers(what, to string) bool { return to == what || strings.HasPrefix(to, what+"/") }

func mayImport(dir string, may []string) bool {
	for _, m := range may {
		below, wide := strings.CutSuffix(m, "/...")
		if dir == m || wide && inFolders(dir, []string{below}) {
			return true
		}
	}
	return false
}

// local returns the folder of an import of this module.
func local(to string) (dir string, ok bool) {
	if to == module {
		return ".", true
	}
	return strings.CutPrefix(to, module+"/")
}

func top(dir string) string {
	t, _, _ := strings.Cut(dir, "/")
	return t
}

func sortedImports(s *source) []string {
	var to []string
	for _, p := range s.imports {
		to = append(to, p)
	}
	sort.Strings(to)
	return to
}

func importOrder(s *source) []finding {
	var out []finding
	for _, to := range sortedImports(s) {
		dir, ok := local(to)
		if !ok {
			continue
		}
		if why := wrongWay(s.dir, dir); why != "" {
			out = append(out, finding{"import-order", s.path, dir, "imports " + dir + ": " + why})
		}
	}
	return out
}

// wrongWay says why a package in folder from must not import a package in folder to; "" if it may.
func wrongWay(from, to string) string {
	a, b := top(from), top(to)
	la, known := layer[a]
	if !known {
		return fmt.Sprintf("%s is no top-level folder of the layout", a)
	}
	lb, known := layer[b]
	if !known {
		return fmt.Sprintf("%s is no top-level folder of the layout", b)
	}
	switch {
	case a == b:
		return ""
	case a == "cmd" && inFolders(to, []string{"benchmarks/load"}):
		return "" // the load driver is also `millstream bench`
	case a == "topology" && b == "state" && !slices.Contains(clientState, to):
		return "topology imports only proto, itself and what links no engine of state"
	case lb > la:
		return "it lies above"
	case lb == la:
		return "it stands beside, they never meet"
	}
	return ""
}

func onlyImporter(s *source) []finding {
	var out []finding
	for _, to := range sortedImports(s) {
		if dir, ok := local(to); ok && inFolders(dir, testPackages) {
			mine := s.test || s.under("tests", "benchmarks") || s.under(testPackages...)
			if !mine {
				out = append(out, finding{"only-importer", s.path, dir, "imports " + dir + ", which is for tests"})
			}
			continue
		}
		for _, o := range owners {
			if !covers(o.what, to) {
				continue
			}
			if !mayImport(s.dir, o.may) && !(s.test && o.tests) {
				out = append(out, finding{"only-importer", s.path, to,
					fmt.Sprintf("imports %s, only %s may", to, strings.Join(o.may, ", "))})
			}
			break
		}
	}
	return out
}

func kindsApart(s *source) []finding {
	var out []finding
	if !s.under(kinds...) {
		return nil
	}
	for _, to := range sortedImports(s) {
		dir, ok := local(to)
		if ok && inFolders(dir, kinds) && kindOf(dir) != kindOf(s.dir) {
			out = append(out, finding{"kinds-apart", s.path, dir, "imports the kind " + dir})
		}
	}
	return out
}

// kindOf returns actors/<kind> of a folder at or below it.
func kindOf(dir string) string {
	for _, k := range kinds {
		if inFolders(dir, []string{k}) {
			return k
		}
	}
	return ""
}
