package real

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: a second process on the same directory is refused, says why, and does the first no harm; after kill
// -9 the directory is free. Method: two processes, the second one with the same --data.
func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := harness.StartServer(t, dir)
	second := exec.Command(harness.Binary(t), "server", "--data", dir, "--kafka-listen", "127.0.0.1:0")
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another member") {
		t.Fatalf("the second process: %v\n%s", err, out)
	}
	if !s.Running() {
		t.Fatalf("the first process ended:\n%s", s.Log())
	}
	create(t, s.Kafka())
	s.Kill()
	harness.StartServer(t, dir).Stop()
}
