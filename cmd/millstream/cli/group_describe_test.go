package cli

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// Goal: a description tells why the group rebalanced where the coordinator's HTTP door is named, in stable
// output, and says what to name where it is not. Method: a consumer that comes and goes at dev in this process;
// times and member ids are masked, the rest is golden.
func TestGroupDescribeJournal(t *testing.T) {
	b := inBackground(t, "dev", "--data", t.TempDir(), "--kafka", "127.0.0.1:0", "--grpc", "", "--http", "127.0.0.1:0")
	env := []string{"MILLSTREAM_BROKERS=" + b.says(kafkaLine)}
	door := b.says(`HTTP +http://([^/]+)/metrics`)
	commandLine(t, "a\nb\n", env, "produce", "orders").must(t, 0)
	commandLine(t, "", env, "consume", "orders", "-g", "billing", "-n", "1").must(t, 0)
	masks := map[string]*regexp.Regexp{
		"AT":            regexp.MustCompile(`\d{4}-\d\d-\d\d[ T][^\t"\n]*`),
		"millstream-ID": regexp.MustCompile(`millstream-[^\t" \n]+`),
		"ADDR":          regexp.MustCompile(regexp.QuoteMeta(door)),
	}
	var said strings.Builder
	for _, line := range []string{
		"group describe billing", "group describe billing --addr " + door,
		"group describe billing --output json --addr " + door, "group describe billing --output json",
		"group describe billing --output name --addr " + door, "group describe billing --addr 127.0.0.1:1",
	} {
		o := commandLine(t, "", env, strings.Fields(line)...).must(t, 0)
		text := "$ " + line + "\n" + o.stdout
		if o.stderr != "" {
			text += "2> " + o.stderr
		}
		for mask, of := range masks {
			text = of.ReplaceAllString(text, mask)
		}
		said.WriteString(text)
	}
	golden(t, "group_describe.txt", said.String())
	env = append(env, "MILLSTREAM_HTTP_LISTEN="+door)
	if o := commandLine(t, "", env, "group", "describe", "billing").must(t, 0); !strings.Contains(o.stdout, "rebalance: ") {
		t.Errorf("the address of the environment is not used:\n%s", o.stdout)
	}
	b.ends()
}

// Goal: whatever answers in a member's place, the description is still told, and why the rest is not. Method: a
// table of doors that are none.
func TestGroupDescribeOddDoors(t *testing.T) {
	cmd, _, end := atDev(t)
	defer end()
	cmd("group reset billing --to-start --topic orders").must(t, exitNotFound)
	cmd("topic create orders").must(t, 0)
	cmd("group reset billing --to-start --topic orders --execute").must(t, 0)
	for name, tt := range map[string]struct {
		code       int
		body, says string
	}{
		"another coordinator": {503, "ask another\n", "is not told: ask another"},
		"a web page":          {200, "<html>", "not as a member does"},
		"another document":    {200, "{}", "not as a member does"},
		"another group":       {200, `{"name":"other","journal":[]}`, "not as a member does"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.code)
			_, _ = w.Write([]byte(tt.body))
		}))
		for _, form := range []string{"table", "json"} {
			o := cmd("group describe billing --output "+form+" --addr "+strings.TrimPrefix(s.URL, "http://")).must(t, 0)
			if o.says(t, tt.says); !strings.Contains(o.stdout, "Empty") {
				t.Errorf("%s: %s", name, o.stdout)
			}
		}
		s.Close()
	}
}
