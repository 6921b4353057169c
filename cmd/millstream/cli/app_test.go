package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
)

// visit is what a shop's records hold.
type visit struct {
	Page string `json:"page"`
	Seen int    `json:"seen"`
}

var (
	appVisits  = topology.NewTopic("visits", serde.Int64, serde.JSON[visit]())
	appLast    = topology.KV("last-visit", serde.Int64, serde.JSON[visit]())
	appPerHour = topology.WindowKV("per-hour", serde.String, serde.Int64)
)

// shopAt runs application "shop" on a member, feeds it, and returns the environment that points at it and what ends the
// application.
func shopAt(t *testing.T) (env []string, m *cluster.Member, end func()) {
	t.Helper()
	m, err := cluster.Start(t.Context(), cluster.Config{DataDir: t.TempDir(), Kafka: "127.0.0.1:0", GRPC: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	b := topology.NewBuilder("shop")
	in := topology.From(b, appVisits, topology.FromEarliest())
	in.ToTable(appLast)
	byPage := topology.GroupBy(in, serde.String, func(_ int64, v visit) string { return v.Page })
	topology.CountWindowed(byPage, topology.Tumbling(time.Hour).Grace(time.Hour), appPerHour)
	topo, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	c := m.Client()
	if _, err := c.CreateTopic(t.Context(), client.NewTopic{Name: "visits", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, topo) }()
	for i := range int64(6) {
		value := fmt.Appendf(nil, `{"page":"p%d","seen":%d}`, i%2, i)
		key, _ := serde.Int64.Append(nil, serde.Info{}, i)
		r := client.Record{Topic: "visits", Key: key, Value: value, TimestampMs: 1_700_000_000_000 + i*1_200_000}
		if _, err := c.Produce(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	settled := func() bool {
		d, err := m.DescribeApp(t.Context(), "shop", true)
		return err == nil && d.LagRecords == 0 && len(d.Tasks) == 4 && d.Stores[0].Rows == 6 && d.Stores[1].Rows == 4
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); !settled(); {
		select {
		case <-tick.C:
		case <-limit:
			d, err := m.DescribeApp(t.Context(), "shop", true)
			t.Fatalf("the visits are not counted: %+v, %v", d, err)
		}
	}
	return []string{"MILLSTREAM_ADDR=" + m.GRPCAddr()}, m, func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Goal: an application's whole life at the command line, with stable output in every form and the right exit codes.
// Method: the commands against a member in this process; what they print is golden, the room on the disk masked.
func TestAppCommands(t *testing.T) {
	env, _, end := shopAt(t)
	cmd := func(line string) outcome { return commandLine(t, "", env, strings.Fields(line)...) }
	var said strings.Builder
	masks := []*regexp.Regexp{
		regexp.MustCompile(`(app_test\.go:)\d+`),
		regexp.MustCompile(`("state_bytes": )\d+`), regexp.MustCompile(`(?m)(^\d_\d\t[a-z]+\t\d+\t\d+\t\d+\t)\d+`),
		regexp.MustCompile(`(?m)("epoch": )\d+`), regexp.MustCompile(`(?m)(^\d_\d\t[a-z]+\t)\d+`),
	}
	tell := func(lines ...string) {
		for _, line := range lines {
			o := cmd(line).must(t, 0)
			text := "$ " + line + "\n" + o.stdout
			if o.stderr != "" {
				text += "2> " + o.stderr
			}
			for _, b := range masks {
				text = b.ReplaceAllString(text, "${1}N")
			}
			said.WriteString(text)
		}
	}
	tell("app ls", "app ls --output json", "app ls --output name", "app describe shop", "app describe shop --rows",
		"app describe shop --rows --output json", "app tasks shop", "app tasks shop --output json", "app tasks shop --output name",
		"app topology shop", "app topology shop --format mermaid",
		"app query shop last-visit 3", "app query shop last-visit 3 --output json", "app query shop last-visit --from 2 --to 4",
		"app query shop last-visit --reverse --partition 1", "app query shop last-visit -n 1 -f %k:%T:%p\\n",
		"app query shop per-hour p0", "app query shop per-hour p1 --since 2023-11-14T23:00:00Z --output json",
		"app query shop per-hour --until 2023-11-14T23:00:00Z -f %p:%k:%w:%W:%v\\n",
		"app pause shop", "app ls", "app resume shop")
	cmd("app describe none").must(t, exitNotFound).says(t, `"none" does not run`, "app ls")
	cmd("app query none x").must(t, exitNotFound).says(t, "app ls")
	cmd("app query shop x").must(t, exitNotFound).says(t, "last-visit, per-hour")
	cmd("app query shop last-visit 99").must(t, exitNotFound).says(t, "no row of that key")
	cmd("app query shop last-visit nine").must(t, exitUsage).says(t, "int64")
	cmd("app query shop last-visit --since -1h").must(t, exitUsage).says(t, "stores of windows")
	cmd("app query shop per-hour --from a").must(t, exitUsage).says(t, "--since")
	cmd("app query shop last-visit -f %w").must(t, exitUsage)
	cmd("app query shop last-visit 3 --partition 9").must(t, exitFailure).says(t, "no partition 9")
	cmd("app topology shop --format oil").must(t, exitUsage)
	cmd("app reset shop --execute").must(t, exitConflict).says(t, "stop it first")
	cmd("app ls --addr 127.0.0.1:1 --timeout 2s").must(t, exitUnreachable).says(t, "--addr")
	for line, want := range map[string]string{
		"app describe ": "shop", "app query ": "shop", "app query shop ": "last-visit\nper-hour", "app ls ": "",
	} {
		o := commandLine(t, "", env, append([]string{"__complete"}, strings.Split(line, " ")...)...).must(t, 0)
		if strings.TrimSpace(o.stdout) != want {
			t.Errorf("%q is completed to %q, want %q", line, o.stdout, want)
		}
	}
	end()
	tell("app ls --output json", "app reset shop", "app reset shop --output json", "app reset shop --execute --output name")
	cmd("app reset shop").must(t, exitNotFound)
	golden(t, "app.txt", said.String())
}

// Goal: a key of the command line becomes the bytes of the store, and bytes become JSON and text. Method: a table of
// encodings; what has none is hexadecimal.
func TestQueryKeys(t *testing.T) {
	for _, tt := range []struct{ format, text, hex, json string }{
		{"string", "ä", "c3a4", `"ä"`}, {"int64", "-1", "ffffffffffffffff", "-1"}, {"int32", "258", "00000102", "258"},
		{"float64", "1.5", "3ff8000000000000", "1.5"}, {"bool", "true", "01", "true"}, {"bool", "false", "00", "false"},
		{"json", `{"a":1}`, "7b2261223a317d", `{"a":1}`}, {"bytes", "0aff", "0aff", `{"hex":"0aff"}`},
		{"", "00", "00", `{"hex":"00"}`},
	} {
		b, err := parseKey(tt.format, tt.text)
		if err != nil || fmt.Sprintf("%x", b) != tt.hex {
			t.Errorf("%s %s: %x, %v", tt.format, tt.text, b, err)
		}
		if got := string(jsonText(t, jsonOf(tt.format, b))); got != tt.json {
			t.Errorf("%s %s as JSON: %s", tt.format, tt.text, got)
		}
		if got := string(textOf(tt.format, b)); got != tt.text {
			t.Errorf("%s %s as text: %s", tt.format, tt.text, got)
		}
	}
	for format, text := range map[string]string{"int64": "x", "int32": "3000000000", "float64": "", "bool": "1", "bytes": "0", "": "xy"} {
		if _, err := parseKey(format, text); err == nil {
			t.Errorf("%q is taken for a %q", text, format)
		}
	}
	for format, b := range map[string]string{"string": "\xff", "json": "{", "int64": "1", "int32": "1", "float64": "1", "bool": "2"} {
		if got := string(jsonText(t, jsonOf(format, []byte(b)))); !strings.HasPrefix(got, `{"hex":`) {
			t.Errorf("%q as %s is %s", b, format, got)
		}
	}
}

func jsonText(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
