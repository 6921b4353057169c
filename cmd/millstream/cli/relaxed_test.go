package cli

import (
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
)

// Goal: nobody can miss that a topic is not durable when it acknowledges: describe says so, and doctor does, of a
// running member and of a directory; what does not go with it is refused with the reason. Method: make such a topic
// by command, look, make it durable again, look.
func TestRelaxedTopicIsShown(t *testing.T) {
	dir := t.TempDir()
	m, err := cluster.Start(t.Context(), cluster.Config{DataDir: dir, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	env := []string{"MILLSTREAM_ADDR=" + m.GRPCAddr()}
	cmd := func(line string) outcome { return commandLine(t, "", env, strings.Fields(line)...) }
	cmd("topic create clicks --config flush.policy=interval --config flush.ms=250").must(t, 0)
	cmd("topic create odd --config flush.policy=interval --config cleanup.policy=compact").says(t, "does not go with")
	commandLine(t, "a\nb\n", env, "produce", "clicks").must(t, 0)
	const risk = "power cut may lose"
	says := func(when, text string, want bool) {
		t.Helper()
		if strings.Contains(text, risk) != want || want && !strings.Contains(text, "250 ms") {
			t.Errorf("%s:\n%s", when, text)
		}
	}
	says("describe", cmd("topic describe clicks").must(t, 0).stdout, true)
	says("describe as JSON", cmd("topic describe clicks --output json").stdout, false)
	says("doctor asks the member", cmd("doctor --http "+m.HTTPAddr()).stdout, true)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	says("doctor looks at the data", cmd("doctor --data "+dir).stdout, true)

	m, err = cluster.Start(t.Context(), cluster.Config{DataDir: dir, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	env = []string{"MILLSTREAM_ADDR=" + m.GRPCAddr()}
	cmd("topic alter clicks --config flush.policy=durable").must(t, 0)
	says("describe a durable one", cmd("topic describe clicks").must(t, 0).stdout, false)
	says("doctor asks about a durable one", cmd("doctor --http "+m.HTTPAddr()).stdout, false)
	if o := cmd("consume clicks -o start --exit-at-end").must(t, 0); o.stdout != "a\nb\n" {
		t.Errorf("left is %q", o.stdout)
	}
}
