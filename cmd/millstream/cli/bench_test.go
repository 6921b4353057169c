package cli

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
)

// figure are the numbers of a bench, which differ from run to run.
var figure = regexp.MustCompile(`("(?:seconds|records|rate_per_s|mb_per_s|p50|p90|p99|p999|max)": )[0-9.e+-]+`)

// Goal: bench measures through both doors, prints what stays the same, and leaves no topic behind. Method:
// a member in this process, short times.
func TestBench(t *testing.T) {
	t.Parallel()
	m, err := cluster.Start(t.Context(), cluster.Config{Kafka: "127.0.0.1:0", GRPC: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	env := []string{"HOME=" + t.TempDir()}
	commandLine(t, "", env, "context", "add", "here", "--kafka", m.KafkaAddr(), "--grpc", m.GRPCAddr(), "--use").must(t, 0)
	commandLine(t, "", env, "topic", "create", "kept", "--partitions", "2").must(t, 0)
	const short = " --warm-up 20ms --for 200ms --output json"
	shown := ""
	for _, line := range []string{
		"bench produce kept --clients 2 --size 100 --compression lz4 --text" + short,
		"bench produce kept --door grpc --rate 500" + short,
		"bench produce --in-flight 1 --acks 1" + short,
		"bench consume kept --for 20s --output json",
		"bench consume kept --door grpc --clients 2 --for 20s --output json",
		"bench e2e --rate 500 --size 64" + short,
		"bench e2e kept --rate 500 --addr " + m.GRPCAddr() + short,
	} {
		o := commandLine(t, "", env, strings.Fields(line)...).must(t, 0)
		var r benchReport
		if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || r.Records == 0 || r.Rate <= 0 || r.Megabytes <= 0 {
			t.Fatalf("%s: %v\n%s", line, err, o.stdout)
		}
		timed := r.TargetRate > 0 || r.InFlight == 1
		if (r.Latency != nil) != timed || timed && (r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P999) {
			t.Errorf("%s: latencies %+v", line, r.Latency)
		}
		if o.stderr != "" {
			t.Errorf("%s: on standard error, which is no terminal: %s", line, o.stderr)
		}
		text := figure.ReplaceAllString(o.stdout, "${1}0")
		text = regexp.MustCompile(`bench-[0-9a-f]{8}`).ReplaceAllString(text, "bench-…")
		text = regexp.MustCompile(`("value_bytes": )\d+`).ReplaceAllString(text, "${1}0")
		shown += fmt.Sprintf("$ %s\n%s", strings.ReplaceAll(line, m.GRPCAddr(), "ADDRESS"), text)
	}
	golden(t, "bench.txt", shown)
	if o := commandLine(t, "", env, "topic", "ls", "--output", "name").must(t, 0); o.stdout != "kept\n" {
		t.Errorf("topics left: %q", o.stdout)
	}
	o := commandLine(t, "", env, "bench", "e2e", "--rate", "200", "--warm-up", "0s", "--for", "100ms").must(t, 0)
	if !strings.Contains(o.stdout, "P99.9 MS") {
		t.Errorf("columns:\n%s", o.stdout)
	}
	for line, want := range map[string]string{
		"bench produce none": `topic "none" cannot be used`, "bench consume none --door grpc": "topic create none",
	} {
		commandLine(t, "", env, strings.Fields(line)...).must(t, exitNotFound).says(t, want)
	}
}

// Goal: what cannot be measured is refused before anything is dialled, and a door where nobody is is told.
// Method: a table of command lines.
func TestBenchUsage(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"bench produce a b":                             {2, "takes one [TOPIC]"},
		"bench consume":                                 {2, "takes one TOPIC"},
		"bench produce --size 31":                       {2, "a value needs 32 bytes"},
		"bench produce --clients 0":                     {2, "--clients 0 is out of range"},
		"bench produce --rate 0":                        {2, "--rate 0 is out of range"},
		"bench e2e --rate -1":                           {2, "--rate -1 is out of range"},
		"bench e2e --for 0s":                            {2, "times that pass"},
		"bench e2e --acks 2":                            {2, `--acks "2" is unknown`},
		"bench e2e --door nats":                         {2, "kafka or grpc"},
		"bench e2e --compression rar --addr [::1]:1":    {2, "none, gzip, snappy, lz4 or zstd"},
		"bench consume x --output xml":                  {2, "unknown form"},
		"bench produce --brokers 127.0.0.1:1":           {6, "no member answers at 127.0.0.1:1"},
		"bench produce --addr 127.0.0.1:1 --timeout 1s": {6, "millstream dev"},
	} {
		commandLine(t, "", nil, strings.Fields(line)...).must(t, want.code).says(t, want.says)
	}
}
