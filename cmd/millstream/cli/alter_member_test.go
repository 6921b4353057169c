package cli

import (
	"regexp"
	"strings"
	"testing"
)

// Goal: altering and trimming work at a member, and its refusals reach the person with what to try. Method:
// the commands against dev in this process.
func TestAlterAndTrimAtMember(t *testing.T) {
	b := inBackground(t, "dev", "--data", t.TempDir(), "--kafka", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
	env := []string{"MILLSTREAM_ADDR=" + b.says(grpcLine)}
	cmd := func(line string) outcome { return commandLine(t, "", env, strings.Fields(line)...) }
	commandLine(t, "a\nb\nc\nd\n", env, "produce", "orders").must(t, 0)
	cmd("topic alter orders --config retention.ms=604800000 --config max.message.bytes=4096").must(t, 0)
	cmd("topic alter orders --delete-config max.message.bytes").must(t, 0)
	described := cmd("topic describe orders").must(t, 0).stdout
	if row := regexp.MustCompile(`(?m)^0\t1\t\d+\t1\t0\t4\t20\d\d-\d\d-\d\dT[0-9:.]+Z\t[1-9]\d\d+$`); !row.MatchString(described) {
		t.Errorf("no offsets, newest timestamp and size in\n%s", described)
	}
	cmd("topic create keyed --config cleanup.policy=delete,compact").must(t, 0)
	if d := cmd("topic describe keyed").must(t, 0).stdout; !strings.Contains(d, "cleanup.policy\tcompact,delete\t") ||
		!strings.Contains(d, "\t0\t0\t-\t") {
		t.Errorf("an empty topic that is compacted is described as\n%s", d)
	}
	commandLine(t, "no key\n", env, "produce", "keyed").must(t, 1).says(t, "keyed")
	cmd("topic create bad --config cleanup.policy=compcat").must(t, 1).says(t, "nearest is compact")
	for _, row := range []string{
		"retention.ms\t604800000\tdynamic topic config", "max.message.bytes\t1048588\tdefault config",
	} {
		if !strings.Contains(described, row) {
			t.Errorf("%q is not in\n%s", row, described)
		}
	}
	cmd("topic alter orders --config retenton.ms=1").must(t, 1).says(t, "was not altered", "nearest is retention.ms")
	cmd("topic alter orders --config segment.ms=0").must(t, 1).says(t, "whole number from 1 to")
	cmd("topic alter orders --config retention.ms=-5 --dry-run").must(t, 1).says(t, "from -1 to")
	cmd("topic trim orders --partition 0 --to 2 --yes").must(t, 0)
	if o := cmd("consume orders -o start --exit-at-end").must(t, 0); o.stdout != "c\nd\n" {
		t.Errorf("left is %q", o.stdout)
	}
	cmd("topic trim orders --partition 0 --to end --yes").must(t, 0)
	if o := cmd("consume orders -o start --exit-at-end").must(t, 0); o.stdout != "" {
		t.Errorf("left is %q", o.stdout)
	}
	b.ends()
}
