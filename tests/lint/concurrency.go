package lint

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// goroutineFolders may start goroutines: each of them owns what it starts and waits for it. cluster itself is
// the composition root and starts what it joins in Close.
var goroutineFolders = []string{
	"actors/pool/...", "actors/link/...", "state/engine/...", "state/statetest", "cluster", "cluster/gateway/...",
	"cluster/client/...", "cmd/...", "tests/...", "benchmarks/...",
}

// coreFolders hold the pure state machines.
var coreFolders = []string{
	"partition", "topology/task", "cluster/subscription/member", "cluster/subscription/assign",
}

// use is a forbidden use inside a file: what it is and where.
type use struct {
	what string
	line int
}

// uses walks a file and collects what pick names; "" is nothing.
func uses(s *source, pick func(ast.Node) string) []use {
	var out []use
	ast.Inspect(s.file, func(n ast.Node) bool {
		if n == nil {
			return false
		}
		if what := pick(n); what != "" {
			out = append(out, use{what, s.line(n)})
		}
		return true
	})
	return out
}

// breaches turns uses into findings, one for each kind of use in a file.
func breaches(rule string, s *source, us []use) []finding {
	var out []finding
	var seen []string
	for _, u := range us {
		if slices.Contains(seen, u.what) {
			continue
		}
		seen = append(seen, u.what)
		out = append(out, finding{rule, s.path, strings.ReplaceAll(u.what, " ", "-"),
			fmt.Sprintf("line %d: %s", u.line, u.what)})
	}
	return out
}

// starts names what starts a goroutine: the statement, and the Go method of a wait group or an error group.
func (s *source) starts(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "go statement"
	case *ast.CallExpr:
		sel, ok := n.Fun.(*ast.SelectorExpr)
		if ok && sel.Sel.Name == "Go" && s.mentionsGroup() && s.selector(sel) == "" {
			return "WaitGroup.Go"
		}
	}
	return ""
}

func (s *source) mentionsGroup() bool {
	return strings.Contains(s.text, "sync.WaitGroup") || strings.Contains(s.text, "errgroup.")
}

func goroutinePlace(s *source) []finding {
	if s.test || mayImport(s.dir, goroutineFolders) {
		return nil
	}
	return breaches("goroutine-place", s, uses(s, s.starts))
}

var (
	clockUses = map[string]bool{
		"time.Now": true, "time.Since": true, "time.Until": true, "time.Sleep": true, "time.After": true,
		"time.AfterFunc": true, "time.Tick": true, "time.NewTimer": true, "time.NewTicker": true,
	}
	lockUses = map[string]bool{
		"sync.Mutex": true, "sync.RWMutex": true, "sync.Cond": true, "sync.NewCond": true,
		"sync.WaitGroup": true, "sync.Map": true, "sync.Locker": true,
	}
	ioImports = []string{"os", "net", "syscall", "io/ioutil", "golang.org/x/sys"}
	// seeded are the names of math/rand that make a generator of one's own.
	seeded = map[string]bool{
		"New": true, "NewPCG": true, "NewSource": true, "NewChaCha8": true, "NewZipf": true, "Rand": true,
		"Source": true, "Source64": true, "PCG": true, "ChaCha8": true, "Zipf": true,
	}
)

// impure names what a core must not touch.
func (s *source) impure(n ast.Node) string {
	if g := s.starts(n); g != "" {
		return g
	}
	if c := channel(n); c != "" {
		return c
	}
	use := s.selector(n)
	if clockUses[use] || lockUses[use] {
		return use
	}
	for _, r := range []string{"math/rand/v2.", "math/rand."} {
		if name, ok := strings.CutPrefix(use, r); ok && !seeded[name] {
			return "global " + use
		}
	}
	return ""
}

func pureCore(s *source) []finding {
	if s.test || !s.under(coreFolders...) {
		return nil
	}
	us := uses(s, s.impure)
	if s.under(testPackages...) {
		return breaches("pure-core", s, us) // its printing and its flags are not the core's
	}
	for _, to := range sortedImports(s) {
		for _, io := range ioImports {
			if covers(io, to) {
				us = append(us, use{"import of " + to, 1})
			}
		}
	}
	return breaches("pure-core", s, us)
}

// channel names the use of a channel.
func channel(n ast.Node) string {
	switch n := n.(type) {
	case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
		return "channel"
	case *ast.UnaryExpr:
		if n.Op.String() == "<-" {
			return "channel"
		}
	}
	return ""
}

// plainActor looks at the kinds: their state belongs to the mailbox.
func plainActor(s *source) []finding {
	if s.test || !s.under(kinds...) {
		return nil
	}
	return breaches("plain-actor", s, uses(s, func(n ast.Node) string {
		if g := s.starts(n); g != "" {
			return g
		}
		if c := channel(n); c != "" {
			return c
		}
		use := s.selector(n)
		if lockUses[use] || clockUses[use] {
			return use // an actor takes Now and After from its context
		}
		return ""
	}))
}

func noSleep(s *source) []finding {
	if !s.test {
		return nil
	}
	return breaches("no-sleep", s, uses(s, func(n ast.Node) string {
		if s.selector(n) == "time.Sleep" {
			return "time.Sleep"
		}
		return ""
	}))
}

func environment(s *source) []finding {
	if s.test || s.under("cmd", "tests", "benchmarks") {
		return nil
	}
	return breaches("environment", s, uses(s, func(n ast.Node) string {
		switch use := s.selector(n); use {
		case "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv":
			return use
		}
		return ""
	}))
}

func processWide(s *source) []finding {
	if s.test || s.under("cmd", "tests", "benchmarks") {
		return nil
	}
	return breaches("process-wide", s, uses(s, func(n ast.Node) string {
		use := s.selector(n)
		switch {
		case use == "os.Exit", strings.HasPrefix(use, "log.Fatal"), strings.HasPrefix(use, "log.Panic"),
			strings.HasPrefix(use, "os/signal."), use == "log/slog.SetDefault", use == "net/http.DefaultServeMux":
			return use
		}
		return ""
	}))
}

// panicPlace allows panic in must.go, in tests, and to pass a recovered panic on.
func panicPlace(s *source) []finding {
	if s.test || s.generated || strings.HasSuffix(s.path, "/must.go") {
		return nil
	}
	return breaches("panic-place", s, uses(s, func(n ast.Node) string {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return ""
		}
		if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
			return "panic"
		}
		return ""
	}))
}
