package cli

import (
	"regexp"
	"strings"
	"testing"
)

var dumpTimes = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)

// damageText is what the store finds wrong with an entry: how it stores entries is its own.
var damageText = regexp.MustCompile(`(cannot be read: |\()entry [^;)]*`)

// dumped masks what differs from run to run.
func dumped(text string) string {
	text = dumpTimes.ReplaceAllString(text, "TIME")
	return damageText.ReplaceAllString(text, "${1}…")
}

// Goal: a dump shows entries, batches and records, only as much of them as is asked for; keys and values only
// when they are; a damaged entry is named and the dump goes on. Method: a small log, dumped in each way, whole
// and with a flipped bit.
func TestDumpLog(t *testing.T) {
	dir := t.TempDir()
	directory(t, dir, "apple", long("b"), "cherry")
	cmd := func(line string) outcome {
		t.Helper()
		return commandLine(t, "", []string{"MILLSTREAM_DATA=" + dir}, strings.Fields("debug dump-log "+line)...)
	}
	var all strings.Builder
	for _, line := range []string{"lines", "lines/0 --records", "lines --from 1 -n 1 --output json --records"} {
		out := cmd(line).must(t, 0).stdout
		if strings.Contains(out, "apple") {
			t.Errorf("%s prints a value:\n%s", line, out)
		}
		all.WriteString("$ " + line + "\n" + dumped(out))
	}
	for _, line := range []string{"lines -n 2 --contents", "lines -n 2 --contents --output json"} {
		all.WriteString("$ " + line + "\n" + dumped(cmd(line).must(t, 0).stdout))
	}
	spoil(t, dir, long("b"))
	for _, line := range []string{"lines", "lines --output json"} {
		all.WriteString("# damaged\n$ " + line + "\n" + dumped(cmd(line).must(t, 0).stdout))
	}
	golden(t, "debug_dump_log.txt", all.String())
	if o := cmd("__cluster_metadata").must(t, 0); !strings.Contains(o.stdout, "control") {
		t.Errorf("the metadata log is dumped as:\n%s", o.stdout)
	}
	cmd("none").must(t, exitNotFound).says(t, "there is no log of none", "lines/0")
	cmd("lines/1").must(t, exitNotFound)
	cmd("lines/x").must(t, exitUsage).says(t, `"x" is no partition`)
	cmd("lines -n -1").must(t, exitUsage)
	cmd("lines --output yaml").must(t, exitUsage).says(t, "table or json")
	commandLine(t, "", nil, "debug", "dump-log", "lines").must(t, exitUsage).says(t, "--data")
	commandLine(t, "", nil, "debug", "dump-log", "lines", "--data", t.TempDir()).must(t, exitFailure).
		says(t, "is no data directory")
}
