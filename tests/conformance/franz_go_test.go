package conformance

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var franzGo = flag.String("franz-go", "", "run franz-go's own tests against a member, each with so many records; 50000 is enough")

// needTransactions are the tests of franz-go that this version can't pass: it has no transactions.
const needTransactions = "Txn"

// Goal: franz-go's own tests of producing, consuming and groups pass against a member. Method: go test in the
// module cache, with the member's address in its environment; only with the option -franz-go, because it takes a
// minute.
func TestFranzGoSuite(t *testing.T) {
	if *franzGo == "" {
		t.Skip("only with -franz-go RECORDS")
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/twmb/franz-go").Output()
	if err != nil {
		t.Skipf("the module cache is not there: %v", err)
	}
	cmd := exec.Command("go", "test", "-count=1", "-v", "-timeout", "10m", "-skip", needTransactions, ".")
	cmd.Dir = filepath.Join(strings.TrimSpace(string(dir)), "pkg", "kgo")
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+startMember(t), "KGO_TEST_RF=1", "KGO_TEST_RECORDS="+*franzGo)
	out, err := cmd.CombinedOutput()
	passed := bytes.Count(out, []byte("--- PASS"))
	for _, line := range regexp.MustCompile(`(?m)^ *--- FAIL.*$`).FindAll(out, -1) {
		t.Errorf("%s", line)
	}
	if err != nil || passed < 100 {
		t.Fatalf("%v with %d tests passed; it ends with\n%s", err, passed, out[max(0, len(out)-4000):])
	}
	t.Logf("%d tests passed", passed)
}
