package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	urfave "github.com/urfave/cli/v2"
)

// Goal: a wrong word is refused with exit code 2 and the nearest right one, before anything is dialled.
// Method: a table of command lines without any broker.
func TestUsage(t *testing.T) {
	tests := []struct {
		line string
		code int
		says []string
	}{
		{"topc ls", 2, []string{`unknown command "topc"`, "millstream topic"}},
		{"topic lst", 2, []string{`unknown command "topic lst"`, "try: millstream topic ls"}},
		{"topic ls --outptu json", 2, []string{"unknown option --outptu", "try: --output"}},
		{"topic ls --output xml", 2, []string{"unknown form", "table, json, yaml or name"}},
		{"consume", 2, []string{"at least one TOPIC"}},
		{"consume x -o yesterday", 2, []string{`-o "yesterday" is no position`, "try: start, end"}},
		{"consume x -o", 2, []string{"option -o needs a value"}},
		{"consume x -f %q", 2, []string{"unknown %q in the format"}},
		{"consume x --output json -f %v", 2, []string{"exclude each other"}},
		{"consume x -n -3", 2, []string{"-n -3 is negative"}},
		{"produce", 2, []string{"takes one TOPIC"}},
		{"produce x --acks 2", 2, []string{`--acks "2" is unknown`, "0, 1 or all"}},
		{"produce x --compression rar", 2, []string{"none, gzip, snappy, lz4 or zstd"}},
		{"produce x -H novalue", 2, []string{"is not KEY=VALUE"}},
		{"produce x --rate 0", 2, []string{"is not positive"}},
		{"produce x -f %k%v", 2, []string{"cannot be taken apart"}},
		{"produce x -k a -f %k:%v", 2, []string{"exclude each other"}},
		{"topic create", 2, []string{"takes one NAME"}},
		{"topic create x --partitions 0", 2, []string{"out of range"}},
		{"topic create x --partitions many", 2, []string{"many"}},
		{"topic create x --config novalue", 2, []string{"is not KEY=VALUE"}},
		{"topic delete x", 2, []string{"no terminal", "--yes"}},
		{"topic add-partitions x none", 2, []string{"not a number of partitions"}},
		{"topic alter x", 2, []string{"takes something to change", "--delete-config"}},
		{"topic alter x --config novalue", 2, []string{"is not KEY=VALUE"}},
		{"topic alter x --config a=1 --delete-config a", 2, []string{"a is set and deleted"}},
		{"topic alter --config a=1", 2, []string{"takes one NAME"}},
		{"topic trim x --to end --yes", 2, []string{"takes the --partition", "--partition 0 --to end"}},
		{"topic trim x --partition 0 --yes", 2, []string{`--to "" is no offset`, "or end"}},
		{"topic trim x --partition 0 --to -3 --yes", 2, []string{`--to "-3" is no offset`}},
		{"topic trim x --partition 0 --to 3", 2, []string{"no terminal", "cannot be undone", "--yes"}},
		{"consume x -g g -o 7", 2, []string{"exclude each other", "group reset g"}},
		{"consume x -g g --partition 1", 2, []string{"exclude each other", "shares the partitions"}},
		{"group describe", 2, []string{"takes one NAME"}},
		{"group reset g", 2, []string{"where to", "--to-start"}},
		{"group reset g --to-start --to-end", 2, []string{"exclude each other"}},
		{"group reset g --to-offset -3", 2, []string{"is negative", "--shift -3"}},
		{"group reset g --to-time soon", 2, []string{`--to-time "soon" is no time`}},
		{"group reset g --by-duration -1h", 2, []string{"is negative", "--by-duration 1h0m0s"}},
		{"group reset g --to-end --topic t:x", 2, []string{`--topic "t:x" is no partition`}},
		{"group delete g", 2, []string{"no terminal", "--yes"}},
		{"completion tcsh", 2, []string{"bash, zsh or fish"}},
		{"version now", 2, []string{`takes no "now"`}},
		{"doctor now", 2, []string{`takes no "now"`}},
		{"doctor --output yaml", 2, []string{"unknown form", "table or json"}},
		{"debug dump-lgo", 2, []string{"unknown command", "debug dump-log"}},
		{"dev --kafka 0.0.0.0:9092", 2, []string{"not a loopback address", "Insecure"}},
		{"topic ls --addr localhost", 2, []string{`--addr "localhost" is no address`, "--addr host:port"}},
		{"topic ls --addr 127.0.0.1:1,127.0.0.1:2", 2, []string{"--addr takes one address"}},
		{"topic ls --brokers 127.0.0.1:9092", 2, []string{"unknown option --brokers", "--addr 127.0.0.1:7070", "gRPC door"}},
		{"group ls --grpc 127.0.0.1:7070", 2, []string{"unknown option --grpc", "--addr"}},
		{"doctor --addr 127.0.0.1:8080", 2, []string{"unknown option --addr", "--http"}},
		{"topic ls --addr 127.0.0.1:1", 6, []string{"no member answers at 127.0.0.1:1", "millstream dev"}},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			commandLine(t, "", nil, strings.Fields(tt.line)...).must(t, tt.code).says(t, tt.says...)
		})
	}
}

// Goal: every command explains itself. Method: --help everywhere in the tree ends well and names the options.
func TestHelp(t *testing.T) {
	for line, want := range map[string]string{
		"--help": "dev", "topic --help": "add-partitions", "topic ls --help": "--output",
		"topic alter --help": "--delete-config", "topic trim --help": "--dry-run",
		"consume --help": "--exit-at-end", "produce -h": "--acks", "server --help": "--kafka-listen",
		"dev --help": "--demo", "bench e2e --help": "--rate", "context": "use", "doctor --help": "--http", "debug": "dump-log", "debug dump-log --help": "--contents",
		"": "produce", "topic": "describe",
	} {
		o := commandLine(t, "", nil, strings.Fields(line)...).must(t, 0)
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q does not name %s:\n%s", line, want, o.stdout)
		}
	}
}

// Goal: options may stand anywhere and take values that look like options. Method: arrange some lines and
// compare.
func TestArrange(t *testing.T) {
	s := &shell{}
	for line, want := range map[string]string{
		"consume t -o -10 -n5":       "consume -o=-10 -n=5 -- t",
		"consume t --offset=-10 u":   "consume --offset=-10 -- t u",
		"consume -- -o":              "consume -- -o",
		"topic ls --output json":     "topic ls --output=json",
		"produce t -H a=b -H c=d":    "produce -H=a=b -H=c=d -- t",
		"server check-config --data": "error",
		"topic delete a b --yes":     "topic delete --yes -- a b",
	} {
		got, err := arrange(s.app(), strings.Fields(line))
		text := strings.Join(got, " ")
		if err != nil {
			text = "error"
		}
		if text != want {
			t.Errorf("%s: %q, want %q (%v)", line, text, want, err)
		}
	}
}

// Goal: the nearest word is found, and no far-fetched one. Method: a table.
func TestNearest(t *testing.T) {
	known := []string{"topic", "produce", "consume", "kafka.listen"}
	for word, want := range map[string]string{
		"topci": "topic", "prduce": "produce", "cosnume": "consume", "kafka.lsten": "kafka.listen", "zebra": "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%s) = %q, want %q", word, got, want)
		}
	}
}

// Goal: the error text is what, why and what to try, one line each. Method: one failure with a many-lined
// reason.
func TestThreeLines(t *testing.T) {
	o := commandLine(t, "", nil, "topci")
	lines := strings.Split(strings.TrimRight(o.stderr, "\n"), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "error: ") || !strings.HasPrefix(lines[1], "  why: ") ||
		!strings.HasPrefix(lines[2], "  try: ") {
		t.Errorf("not three lines:\n%s", o.stderr)
	}
}

// Goal: what a command prints for programs stays as it is: every command with --output has its JSON in a golden file.
// Method: the tree of commands against a list of the files, and the files against what only JSON has.
func TestEveryJSONIsGolden(t *testing.T) {
	files := map[string]string{
		"topic ls": "topic_ls.json", "topic describe": "topic_describe.json", "consume": "consume.json",
		"group ls": "group.txt", "group describe": "group_describe.txt", "group lag": "group.txt", "group reset": "group.txt",
		"doctor": "doctor_damage.json", "context ls": "context_ls.json",
		"bench produce": "bench.txt", "bench consume": "bench.txt", "bench e2e": "bench.txt",
		"debug dump-log": "debug_dump_log.txt",
		"app ls":         "app.txt", "app describe": "app.txt", "app tasks": "app.txt", "app reset": "app.txt", "app query": "app.txt",
	}
	s := &shell{Process: Process{Stdout: io.Discard, Stderr: io.Discard}}
	var walk func(path string, commands []*urfave.Command)
	walk = func(path string, commands []*urfave.Command) {
		for _, c := range commands {
			name := strings.TrimSpace(path + " " + c.Name)
			if _, has := flagTable(c.Flags)["output"]; has {
				b, err := os.ReadFile(filepath.Join("testdata", files[name]))
				if err != nil || !bytes.Contains(b, []byte(`":`)) {
					t.Errorf("%s has --output, and its JSON stands in no golden file: %v", name, err)
				}
				delete(files, name)
			}
			walk(name, c.Subcommands)
		}
	}
	walk("", s.app().Commands)
	for name := range files {
		t.Errorf("%s has no --output", name)
	}
}
