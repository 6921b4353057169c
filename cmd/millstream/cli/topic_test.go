package cli

import (
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Goal: a topic's whole life, with the right exit codes and stable JSON. Method: create, describe, list, grow
// and delete on a fake broker; ids are masked in the golden files.
func TestTopicLife(t *testing.T) {
	env := fakeBroker(t)
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

// masked hides what differs from run to run, and the configuration, which is the broker's.
func masked(text string) string {
	text = regexp.MustCompile(`"id": "[^"]+"`).ReplaceAllString(text, `"id": "…"`)
	text = regexp.MustCompile(`("start"|"end"): \d+`).ReplaceAllString(text, `$1: 0`)
	return regexp.MustCompile(`(?s)"configs": \[.*\]`).ReplaceAllString(text, `"configs": […]`)
}

// Goal: completion knows commands, options, values and live topics. Method: ask the hidden command as a shell
// would.
func TestComplete(t *testing.T) {
	env := fakeBroker(t, kfake.SeedTopics(1, "text-input", "text-output", "other"))
	for line, want := range map[string]string{
		"to":                 "topic",
		"topic d":            "delete describe",
		"topic ls --out":     "--output",
		"topic ls --output ": "json name table yaml",
		"consume text-":      "text-input text-output",
		"topic describe o":   "other",
		"produce x --acks ":  "0 1 all",
		"completion ":        "bash fish zsh",
		"consume -o ":        "end start",
		"topic create ":      "",
		"consume text-input -": "--brokers --exit-at-end --format --help --number --offset --output --partition " +
			"--timeout",
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
