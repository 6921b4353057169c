package lint

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Goal: every rule holds in the whole module, save the exceptions with a reason. Method: parse every file,
// run every rule, settle with ratchet.txt; what is left fails, and so does an exception that matches nothing.
func TestHouseRules(t *testing.T) {
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	all, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files found in %s: the walk is broken", len(all), dir)
	}
	known, err := readRatchet("ratchet.txt")
	if err != nil {
		t.Fatal(err)
	}
	var found []finding
	why := make(map[string]string)
	for _, r := range rules() {
		why[r.name] = r.why
		found = append(found, r.check(all)...)
	}
	found = append(found, documents(t, dir)...)
	left, stale := settle(found, known)
	for _, f := range left {
		t.Errorf("%s\n\trule: %s", f, why[f.rule])
	}
	for _, e := range stale {
		t.Errorf("ratchet.txt:%d: %q matches nothing any more: delete the line", e.line, e.key)
	}
	t.Logf("%d files, %d rules, %d known exceptions", len(all), len(rules()), len(known))
}

// documents looks for unfinished work in what is not Go.
func documents(t *testing.T, dir string) []finding {
	t.Helper()
	var out []finding
	err := walk(dir, func(rel, full string) error {
		switch {
		case strings.HasSuffix(rel, ".md"), strings.HasSuffix(rel, ".yml"), strings.HasSuffix(rel, ".sh"),
			strings.HasSuffix(rel, ".proto"), strings.HasPrefix(rel, ".ci/"):
		default:
			return nil
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		out = append(out, unfinishedText(rel, string(text))...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// linkRule says what a package must not link, however far down.
type linkRule struct {
	pkg  string
	bans []string
	why  string
}

var linkRules = []linkRule{
	{"cluster/client", []string{"github.com/dgraph-io/badger", "go.etcd.io/raft", "github.com/asynkron/protoactor-go",
		module + "/state/engine", module + "/partition/machine", module + "/actors"}, "a client is small"},
	{"topology", []string{"github.com/dgraph-io/badger", "go.etcd.io/raft", "github.com/asynkron/protoactor-go",
		module + "/state/engine", module + "/actors", module + "/cluster"}, "a topology is a value"},
	{"proto/fault", []string{module + "/proto/record", module + "/state"}, "the error table knows nobody"},
}

// Goal: programs that only talk to a cluster, or only describe a topology, link no engine. Method: ask `go
// list` for everything that the package links and look for what it must not. A package that is not there is
// skipped.
func TestLinkedPackages(t *testing.T) {
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range linkRules {
		t.Run(r.pkg, func(t *testing.T) {
			if _, err := os.Stat(dir + "/" + r.pkg); err != nil {
				t.Skipf("no package %s in this tree", r.pkg)
			}
			for _, bad := range banned(linked(t, dir, "./"+r.pkg), r.bans) {
				t.Errorf("%s links %s: %s", r.pkg, bad, r.why)
			}
		})
	}
}

// linked returns the import paths of everything that a package links.
func linked(t *testing.T, dir, pkg string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath", pkg)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	var paths []string
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p struct{ ImportPath string }
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p.ImportPath)
	}
	return paths
}

func banned(linked, bans []string) []string {
	var out []string
	for _, p := range linked {
		for _, b := range bans {
			if covers(b, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
