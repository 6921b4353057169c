package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Goal: contexts are added, listed, used and removed, and what JSON shows stays as it is. Method: a folder of
// configuration of the test's own, golden forms.
func TestContexts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := []string{"XDG_CONFIG_HOME=" + dir, "HOME=/nowhere"}
	do := func(code int, line string) outcome {
		t.Helper()
		return commandLine(t, "", env, strings.Fields(line)...).must(t, code)
	}
	if o := do(0, "context ls --output json"); o.stdout != "[]\n" {
		t.Errorf("no contexts: %q", o.stdout)
	}
	do(0, "context add here --kafka 127.0.0.1:9092,127.0.0.1:9093 --grpc 127.0.0.1:7070 --http http://127.0.0.1:8080").
		says(t, "millstream context use here")
	do(0, "context add far --kafka far.example:9092 --use").says(t, "there and current")
	do(exitConflict, "context add far --kafka other:9092").says(t, "--replace")
	do(0, "context add far --kafka farther.example:9092 --replace")
	golden(t, "context_ls.json", do(0, "context ls --output json").stdout)
	golden(t, "context_ls.txt", do(0, "context ls").stdout+do(0, "context ls --output name").stdout)
	do(exitNotFound, "context use her").says(t, "far, here", "try: here")
	do(0, "context use here")
	if o := do(0, "context ls"); !strings.Contains(o.stdout, "*\there") {
		t.Errorf("here is not current:\n%s", o.stdout)
	}
	if o := commandLine(t, "", append(env, "MILLSTREAM_CONTEXT=far"), "context", "ls"); !strings.Contains(o.stdout, "*\tfar") {
		t.Errorf("the environment has no say:\n%s", o.stdout)
	}
	do(exitNotFound, "context rm far her")
	do(0, "context use --none")
	do(0, "context use here")
	do(0, "context rm here far").says(t, "no current context")
	if o := do(0, "context ls --output name"); o.stdout != "" {
		t.Errorf("left: %q", o.stdout)
	}
	fi, err := os.Stat(filepath.Join(dir, "millstream", "contexts.yaml"))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	do(2, "context add x").says(t, "at least one address")
	do(2, "context add x --kafka nowhere").says(t, `--kafka "nowhere" is no address`)
	do(2, "context add x --http a:1,b:1").says(t, "one address")
	commandLine(t, "", nil, "context", "add", "x", "--kafka", "a:1").must(t, exitFailure).says(t, "XDG_CONFIG_HOME")
	if err := os.WriteFile(filepath.Join(dir, "millstream", "contexts.yaml"), []byte("curent: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do(2, "context ls").says(t, "holds no contexts", "curent")
	do(2, "topic ls").says(t, "holds no contexts")
}

// Goal: every client command finds its cluster in the order option, --context, the door's variable,
// MILLSTREAM_CONTEXT, current context; and a context without a door does not lead to another cluster.
// Method: one broker behind a context, and addresses where nobody is.
func TestContextsLead(t *testing.T) {
	t.Parallel()
	there := strings.TrimPrefix(memberWith(t, 1, "seen")[0], "MILLSTREAM_ADDR=")
	env := []string{"HOME=" + t.TempDir()}
	for _, line := range []string{
		"context add there --grpc " + there + " --use", "context add nobody --grpc 127.0.0.1:1 --http 127.0.0.1:1",
		"context add door --http 127.0.0.1:1",
	} {
		commandLine(t, "", env, strings.Fields(line)...).must(t, 0)
	}
	for _, test := range []struct {
		more []string
		line string
		code int
		says string
	}{
		{nil, "topic ls", 0, ""},
		{nil, "topic ls --context nobody", 6, "no member answers at 127.0.0.1:1"},
		{[]string{"MILLSTREAM_CONTEXT=nobody"}, "topic ls", 6, "127.0.0.1:1"},
		{[]string{"MILLSTREAM_CONTEXT=nobody"}, "topic ls --context there", 0, ""},
		{[]string{"MILLSTREAM_CONTEXT=nobody"}, "topic ls --addr " + there, 0, ""},
		{[]string{"MILLSTREAM_CONTEXT=nobody", "MILLSTREAM_ADDR=" + there}, "topic ls", 0, ""},
		{[]string{"MILLSTREAM_ADDR=127.0.0.1:1"}, "topic ls", 6, "127.0.0.1:1"},
		{[]string{"MILLSTREAM_ADDR=127.0.0.1:1"}, "topic ls --context there", 0, ""},
		{nil, "topic ls --context none", 3, `there is no context "none"`},
		{nil, "topic ls --context door", 2, "has no address of the gRPC door"},
		{nil, "doctor", 2, "has no address of the HTTP door"},
		{nil, "doctor --context nobody", 2, ""},
	} {
		o := commandLine(t, "", append(slices.Clone(env), test.more...), strings.Fields(test.line)...)
		if o.code != test.code || !strings.Contains(o.stderr, test.says) {
			t.Errorf("%v %s: exit code %d, want %d\n%s%s", test.more, test.line, o.code, test.code, o.stdout, o.stderr)
		}
		if test.code == 0 && !strings.Contains(o.stdout, "seen") {
			t.Errorf("%v %s: another cluster: %s", test.more, test.line, o.stdout)
		}
	}
	words := commandLine(t, "", env, "__complete", "topic", "ls", "--context", "").must(t, 0)
	if words.stdout != "door\nnobody\nthere\n" {
		t.Errorf("completion: %q", words.stdout)
	}
	if o := commandLine(t, "", env, "__complete", "topic", "describe", "").must(t, 0); o.stdout != "seen\n" {
		t.Errorf("completion of topics: %q", o.stdout)
	}
	if o := commandLine(t, "", env, "__complete", "context", "use", "n").must(t, 0); o.stdout != "nobody\n" {
		t.Errorf("completion of contexts: %q", o.stdout)
	}
}
