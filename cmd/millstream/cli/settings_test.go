package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Goal: options go before the environment, that before the file, that before the defaults, and it is told
// where each value came from. Method: one key set in all of them, taken away one after the other.
func TestSettingsOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	text := "data: d\ntopics:\n  default_partitions: 2\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"MILLSTREAM_TOPICS_DEFAULT_PARTITIONS=3", "MILLSTREAM_SERVICE_HOST=10.0.0.1", "HOME=/"}
	tests := []struct {
		env  []string
		args string
		want string
	}{
		{env, "--config " + file + " --topics-default-partitions 4", "4 # option --topics-default-partitions"},
		{env, "--config " + file, "3 # environment MILLSTREAM_TOPICS_DEFAULT_PARTITIONS"},
		{nil, "--config " + file, "2 # file " + file},
		{[]string{"MILLSTREAM_CONFIG=" + file}, "", "2 # file " + file},
		{nil, "--data d", "1 # default"},
	}
	for _, tt := range tests {
		args := append([]string{"server", "print-config", "--origins"}, strings.Fields(tt.args)...)
		o := commandLine(t, "", tt.env, args...).must(t, 0)
		got := ""
		for line := range strings.Lines(o.stdout) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "default_partitions: "); ok {
				got = strings.Join(strings.Fields(v), " ")
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.args, got, tt.want)
		}
	}
}

// Goal: what print-config prints is a file that gives the same configuration. Method: print, read back, print
// again.
func TestPrintConfigRoundTrip(t *testing.T) {
	first := commandLine(t, "", nil, "server", "print-config", "--data", "/d: #x", "--insecure").must(t, 0).stdout
	file := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(file, []byte(first), 0o644); err != nil {
		t.Fatal(err)
	}
	second := commandLine(t, "", nil, "server", "print-config", "--config", file).must(t, 0).stdout
	if first != second {
		t.Errorf("not the same:\n%s\n%s", first, second)
	}
	golden(t, "print_config.yaml", commandLine(t, "", nil, "server", "print-config", "--data", "d").must(t, 0).stdout)
}

// Goal: a configuration that does not hold is refused with exit code 2, all its faults and the nearest key.
// Method: a table of files and environments.
func TestSettingsRefused(t *testing.T) {
	tests := []struct {
		file, env string
		says      []string
	}{
		{"kafka:\n  lisen: x\n", "", []string{`unknown key "kafka.lisen"`, "try: kafka.listen"}},
		{"kafka: [1, 2]\n", "", []string{`unknown key "kafka"`}},
		{"data: [1, 2]\n", "", []string{"has no plain value"}},
		{"data: {a: b}\n", "", []string{`unknown key "data.a"`}},
		{"data: d\n  x: [\n", "", []string{"is no YAML"}},
		{"data: d\n", "MILLSTREAM_KAFKA_LISTN=x", []string{"MILLSTREAM_KAFKA_LISTN", "try: MILLSTREAM_KAFKA_LISTEN"}},
		{"insecure: maybe\n", "", []string{"neither true nor false", "data is empty"}},
		{"data: d\nkafka: {listen: \"0.0.0.0:9092\"}\n", "", []string{"not a loopback address"}},
		{"data: d\ntasks: {commit_interval: soon}\nlog: {level: loud, format: xml}\n", "",
			[]string{"no duration", "none of debug", "neither json nor text"}},
		{"data: d\ntopics: {default_partitions: 0x}\n", "", []string{"no whole number"}},
	}
	for _, tt := range tests {
		t.Run(tt.file+tt.env, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "m.yaml")
			if err := os.WriteFile(file, []byte(tt.file), 0o644); err != nil {
				t.Fatal(err)
			}
			commandLine(t, "", []string{tt.env}, "server", "check-config", "--config", file).must(t, 2).
				says(t, tt.says...)
		})
	}
	commandLine(t, "", nil, "server", "check-config", "--data", "d").must(t, 0)
	commandLine(t, "", nil, "server", "check-config", "--config", "/no/such/file").must(t, 3)
}
