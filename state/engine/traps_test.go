package engine_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// trap is a way in which a log on Badger, or on any disk, loses or spoils what it was given, and the tests that would
// fail in it. What a frame file with an index in Badger cannot run into is said too.
type trap struct {
	what  string
	tests []string
}

var traps = []trap{
	{"Many transactions and one sync lose acknowledged entries in the middle of a log at a power cut. Of a frame " +
		"file each group has its own sync and is written when the one before it is durable.",
		[]string{"TestPowerCut", "TestPowerCutWithoutSync", "TestGapsAreFoundOut", "TestMemoryCrashSeesBrokenSync"}},
	{"The index is synced before the values: keys come back with empty values. The index of a frame file is never " +
		"synced and never used beyond its frames.",
		[]string{"TestPowerCut", "TestPowerCutWithoutSync", "TestAcknowledgedEntriesOutliveSIGKILL"}},
	{"A value that cannot be read comes back empty and without an error, and flipped bits are served.",
		[]string{"TestFlippedBitsAreSeen", "TestFlippedBitsInFiles", "TestBitFlips", "TestStoreConforms/damage"}},
	{"A failed sync is only logged, and the database takes writes after it.",
		[]string{"TestSyncFails", "TestSyncFailsWhileAllGoesOn", "TestLoggerFences", "TestStoreConforms/fence"}},
	{"A damaged end of a log opens silently shorter, and its commit index with it.",
		[]string{"TestGapsAreFoundOut", "TestCleanStopIsExact", "TestKillIsNoDamage", "TestBitFlipsAfterKill",
			"TestReadOnlyPartition"}},
	{"A full disk is a signal to who writes to a mapping, and again at every start. Frames are not mapped; what " +
		"the index maps it fills beforehand.",
		[]string{"TestDiskFull", "TestDiskFullWhileCompacting", "TestStartOnFullDisk", "TestBallast",
			"TestStoreConforms/disk full"}},
	{"A backup from the version after the last one returned loses a commit. There is no backup of a database.",
		[]string{"TestBadgerIsUsedAsAgreed"}},
	{"A row that is written again and again slows iteration unless all versions are one.",
		[]string{"TestBadgerIsUsedAsAgreed"}},
	{"Mappings multiply what is written and read. Frames are written past the page cache, and compared with what " +
		"was given.",
		[]string{"TestWrittenBytes"}},
	{"A batch of writes with a version of its own is not atomic.", []string{"TestBadgerIsUsedAsAgreed"}},
	{"Compressed records are 32,000 times as large when they are read.",
		[]string{"TestDecompressionIsLimited", "TestZstdStream"}},
	{"What a dead life of a replica had queued lands after the next one has read its log.",
		[]string{"TestStoreConforms/barrier"}},
}

// Goal: every known trap has a test that would catch it. Method: look for the tests and cases that the table names, in
// all of the module.
func TestTrapsHaveTests(t *testing.T) {
	there := map[string]bool{}
	name, part := regexp.MustCompile(`(?m)^func (Test\w+)\(`), regexp.MustCompile(`(?m)^\t\t\{"([^"]+)", test\w+\},$`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		b := readFile(t, path)
		if strings.HasSuffix(path, "_test.go") {
			for _, m := range name.FindAllSubmatch(b, -1) {
				there[string(m[1])] = true
			}
		}
		if strings.Contains(path, "enginetest") {
			for _, m := range part.FindAllSubmatch(b, -1) {
				there["TestStoreConforms/"+string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if missing := untested(traps, there); len(missing) > 0 {
		t.Errorf("there is no test %v", missing)
	}
	none := append(slices.Clone(traps), trap{"nobody thought of", nil}, trap{"a test that is gone", []string{"TestGone"}})
	if missing := untested(none, there); len(missing) != 2 {
		t.Errorf("a trap without a test and one whose test is gone are not found out: %v", missing)
	}
}

// untested lists the tests that are not there, and the traps that name none.
func untested(all []trap, there map[string]bool) (missing []string) {
	for _, tr := range all {
		if len(tr.tests) == 0 {
			missing = append(missing, "of: "+tr.what)
		}
		for _, name := range tr.tests {
			if !there[name] {
				missing = append(missing, name)
			}
		}
	}
	return missing
}

// forbidden are the calls of Badger that lose atomicity, versions or rows, or make a mapping durable beside the
// transactions.
var forbidden = []string{
	"NewWriteBatch", "NewWriteBatchAt", "NewManagedWriteBatch", "SetEntryAt", "NewStreamWriter", "NewStream",
	"NewStreamAt", "Backup", "Load", "Delete", "DropPrefix", "DropAll", "RunValueLogGC", "WithTTL", "BanNamespace",
	"Sync", "Flatten", "NewTransaction", "Commit", "CommitWith",
}

// Goal: Badger is used in the one way that keeps its promises: transactions at one version. Method: read the sources
// that import it, and one that does everything wrong.
func TestBadgerIsUsedAsAgreed(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	users := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		wrong, uses := misuses(t, string(readFile(t, name)))
		if users += uses; len(wrong) > 0 {
			t.Errorf("%s: %v", name, wrong)
		}
	}
	if users == 0 {
		t.Error("nobody begins a transaction: the walk is broken")
	}
	wrong, _ := misuses(t, `package p
		import "github.com/dgraph-io/badger/v4"
		func f(db *badger.DB) {
			txn := db.NewTransactionAt(oneTimestamp+1, true)
			txn.CommitAt(7, nil)
			db.Backup(nil, 1)
			db.NewWriteBatchAt(1).SetEntryAt(nil, 1)
		}`)
	if len(wrong) != 5 {
		t.Errorf("of five wrong calls were found %v", wrong)
	}
}

// misuses lists the wrong calls in a source that imports Badger, and counts its transactions.
func misuses(t *testing.T, source string) (wrong []string, uses int) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	of := func(s *ast.ImportSpec) bool { return strings.Contains(s.Path.Value, "dgraph-io/badger") }
	if !slices.ContainsFunc(f.Imports, of) {
		return nil, 0
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		switch {
		case !ok:
		case slices.Contains(forbidden, sel.Sel.Name):
			wrong = append(wrong, sel.Sel.Name)
		case sel.Sel.Name == "NewTransactionAt", sel.Sel.Name == "CommitAt":
			uses++
			if v, one := call.Args[0].(*ast.Ident); !one || v.Name != "oneTimestamp" {
				wrong = append(wrong, fmt.Sprint(sel.Sel.Name, " at another version"))
			}
		}
		return true
	})
	return wrong, uses
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
