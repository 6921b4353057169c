package cli

import (
	"regexp"
	"strings"
	"testing"
)

// Goal: a description tells why the group rebalanced, in stable output. Method: a consumer that comes and goes at dev in
// this process; times and member ids are masked, the rest is golden.
func TestGroupDescribeJournal(t *testing.T) {
	cmd, env, end := atDev(t)
	commandLine(t, "a\nb\n", env, "produce", "orders").must(t, 0)
	commandLine(t, "", env, "consume", "orders", "-g", "billing", "-n", "1").must(t, 0)
	var said strings.Builder
	for _, line := range []string{
		"group describe billing", "group describe billing --output json", "group describe billing --output name",
	} {
		o := cmd(line).must(t, 0)
		said.WriteString("$ " + line + "\n" + maskedJournal(o.stdout))
		if o.stderr != "" {
			t.Errorf("%s: on standard error: %s", line, o.stderr)
		}
	}
	golden(t, "group_describe.txt", said.String())
	end()
}

// maskedJournal hides the times and the members of a journal.
func maskedJournal(text string) string {
	text = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T][^\t"\n]*`).ReplaceAllString(text, "AT")
	return regexp.MustCompile(`millstream-[^\t" \n]+`).ReplaceAllString(text, "millstream-ID")
}
