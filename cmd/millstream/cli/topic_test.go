package cli

import (
	"regexp"
	"strings"
	"testing"
)

// Goal: a topic's whole life, with the right exit codes and stable JSON. Method: create, describe, list, grow
// and delete at a member; ids are masked in the golden files.
func TestTopicLife(t *testing.T) {
	env := memberWith(t, 1)
	cmd := func(line string) outcome { return commandLine(t, "", env, strings.Fields(line)...) }

	if o := cmd("topic ls --output json").must(t, 0); strings.TrimSpace(o.stdout) != "[]" {
		t.Errorf("an empty list is %q, want []", o.stdout)
	}
	cmd("topic describe orders").must(t, 3).says(t, `there is no topic "orders"`, "topic create orders")
	o := cmd("topic create orders --partitions 2").must(t, 0)
	if o.stdout != "created topic orders with 2 partitions\n" {
		t.Errorf("create says %q", o.stdout)
	}
	cmd("topic create orders").must(t, 4).says(t, "was not created", "topic describe orders")
	commandLine(t, "a\nb\nc\n", env, "produce", "orders").must(t, 0)

	golden(t, "topic_ls.txt", cmd("topic ls").must(t, 0).stdout)
	golden(t, "topic_ls.json", cmd("topic ls --output json").must(t, 0).stdout)
	golden(t, "topic_ls.yaml", cmd("topic ls --output yaml").must(t, 0).stdout)
	golden(t, "topic_ls.name", cmd("topic ls --output name").must(t, 0).stdout)
	describe := cmd("topic describe orders --output json").must(t, 0).stdout
	golden(t, "topic_describe.json", masked(describe))
	if o := cmd("topic describe orders").must(t, 0); !strings.Contains(o.stdout, "PARTITION\tLEADER") {
		t.Errorf("the plain description has no columns:\n%s", o.stdout)
	}

	if o := cmd("topic add-partitions orders 3").must(t, 0); o.stdout != "topic orders now has 5 partitions\n" {
		t.Errorf("add-partitions says %q", o.stdout)
	}
	cmd("topic add-partitions none 3").must(t, 3)
	o = cmd("topic delete orders --dry-run").must(t, 0)
	if o.stdout != "would delete topic orders with 3 records\n" {
		t.Errorf("dry run says %q", o.stdout)
	}
	cmd("topic describe orders").must(t, 0)
	cmd("topic delete orders none --yes").must(t, 3)
	cmd("topic describe orders").must(t, 0) // nothing goes unless every name is known
	cmd("topic delete orders --yes").must(t, 0)
	cmd("topic describe orders").must(t, 3)
}

// Goal: a topic's configuration changes and its oldest records go, after a dry run that changes nothing.
// Method: both commands at a member; what they print is golden, what they did is read back.
func TestTopicAlterAndTrim(t *testing.T) {
	env := memberWith(t, 2, "orders")
	cmd := func(line string) outcome { return commandLine(t, "", env, strings.Fields(line)...) }
	commandLine(t, "a\nb\nc\nd\n", env, "produce", "orders", "--partition", "1").must(t, 0)
	var said strings.Builder
	for _, line := range []string{
		"topic alter orders --config retention.ms=500000 --dry-run", "topic alter orders --config retention.ms=500000",
		"topic alter orders --delete-config retention.ms", "topic trim orders --partition 1 --to 3 --dry-run",
		"topic trim orders --partition 1 --to 3 --yes", "topic trim orders --partition 1 --to 2 --yes",
		"topic trim orders --partition 1 --to end --yes", "topic trim orders --partition 1 --to end --yes",
	} {
		described := cmd("topic describe orders --output json").must(t, 0).stdout
		said.WriteString("$ " + line + "\n" + cmd(line).must(t, 0).stdout)
		after := cmd("topic describe orders --output json").must(t, 0).stdout
		if dry := strings.Contains(line, "--dry-run"); dry && after != described {
			t.Errorf("%s has changed\n%sto\n%s", line, described, after)
		}
		if set := strings.Contains(line, "--config") && !strings.Contains(line, "--dry-run"); set &&
			!regexp.MustCompile(`"retention.ms",\s+"value": "500000"`).MatchString(after) {
			t.Errorf("%s is not described:\n%s", line, after)
		}
	}
	golden(t, "topic_alter_trim.txt", said.String())
	commandLine(t, "e\n", env, "produce", "orders", "--partition", "1").must(t, 0)
	if left := cmd("consume orders -o start --exit-at-end -f %o%v\\n").must(t, 0).stdout; left != "4e\n" {
		t.Errorf("left is %q", left)
	}
	cmd("topic alter none --config retention.ms=5").must(t, 3)
	cmd("topic trim none --partition 0 --to end --yes").must(t, 3)
	cmd("topic trim orders --partition 2 --to end --yes").must(t, 3).says(t, "has no partition 2", "2 partitions")
	cmd("topic trim orders --partition 1 --to 9 --yes").must(t, 1).says(t, "was not trimmed", "behind its end, 5")
}

// masked hides what differs from run to run, and the configuration, which is the broker's.
func masked(text string) string {
	text = regexp.MustCompile(`"id": "[^"]+"`).ReplaceAllString(text, `"id": "…"`)
	text = regexp.MustCompile(`("start"|"end"|"newest"|"bytes"): -?\d+`).ReplaceAllString(text, `$1: 0`)
	return regexp.MustCompile(`(?s)"configs": \[.*\]`).ReplaceAllString(text, `"configs": […]`)
}

// Goal: completion knows commands, options, values and live topics. Method: ask the hidden command as a shell
// would.
func TestComplete(t *testing.T) {
	env := memberWith(t, 1, "text-input", "text-output", "other")
	for line, want := range map[string]string{
		"to":                 "topic",
		"topic d":            "delete describe",
		"topic ls --out":     "--output",
		"topic ls --output ": "json name table yaml",
		"consume text-":      "text-input text-output",
		"topic describe o":   "other",
		"topic alter text-i": "text-input",
		"topic trim o":       "other",
		"topic trim x --to ": "end",
		"topic a":            "add-partitions alter",
		"produce x --acks ":  "0 1 all",
		"completion ":        "bash fish zsh",
		"bench e2e --door ":  "grpc kafka",
		"bench consume o":    "other",
		"consume -o ":        "end start",
		"topic create ":      "",
		"consume text-input -": "--addr --context --exit-at-end --format --group --help --number --offset --output --partition " +
			"--quiet --timeout",
	} {
		o := commandLine(t, "", env, append([]string{"__complete"}, strings.Split(line, " ")...)...).must(t, 0)
		if got := strings.Join(strings.Fields(o.stdout), " "); got != want {
			t.Errorf("%q completes to %q, want %q", line, got, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if o := commandLine(t, "", nil, "completion", shell).must(t, 0); !strings.Contains(o.stdout, "__complete") {
			t.Errorf("the script for %s asks nobody", shell)
		}
	}
}
