package config

import (
	"maps"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// settings makes a map for Parse.
func settings(pairs ...string) map[string]*string {
	m := map[string]*string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &pairs[i+1]
	}
	return m
}

// Goal: a topic is durable unless it says otherwise; one that does has a class of its own and a time, and both are
// shown. Method: each way to set it, parsed, out of the log, and described.
func TestFlushPolicy(t *testing.T) {
	for _, c := range []struct {
		pairs   []string
		flushMs int64
		class   state.Class
		shown   string
	}{
		{nil, 0, state.ClassLong, "0"},
		{[]string{KeyFlushPolicy, "durable", KeyFlushMs, "1000"}, 0, state.ClassLong, "1000"},
		{[]string{KeyFlushMs, "9223372036854775807"}, 0, state.ClassLong, "9223372036854775807"},
		{[]string{KeyFlushPolicy, "interval"}, 1000, state.ClassRelaxed, "1000"},
		{[]string{KeyFlushPolicy, "interval", KeyFlushMs, "1"}, 1, state.ClassRelaxed, "1"},
		{[]string{KeyFlushPolicy, "interval", KeyFlushMs, "60000", KeyRetentionMs, "5"}, 60_000, state.ClassRelaxed, "60000"},
	} {
		parsed, err := Parse(settings(c.pairs...))
		if err != nil {
			t.Errorf("%v: %v", c.pairs, err)
			continue
		}
		for _, topic := range []Topic{parsed, Stored(parsed.Overrides)} {
			if topic.FlushMs != c.flushMs || topic.Class() != c.class {
				t.Errorf("%v: %d ms, class %s", c.pairs, topic.FlushMs, topic.Class())
			}
		}
		for _, e := range Describe(parsed) {
			if e.Key == KeyFlushMs && (e.Value != c.shown || c.flushMs > 0 && e.Default != "1000") {
				t.Errorf("%v: described as %+v", c.pairs, e)
			}
		}
	}
}

// Goal: what does not go with a relaxed topic is refused with the reason, when it is made and when it is changed, and
// changes about other keys are not judged by it. Method: bad pairs in one request and in two; two changes that were
// decided at the same time.
func TestFlushPolicyRefuses(t *testing.T) {
	interval := []string{KeyFlushPolicy, "interval"}
	for _, c := range []struct {
		pairs []string
		says  string
	}{
		{[]string{KeyCleanupPolicy, "compact"}, "does not go with cleanup.policy=compact"},
		{[]string{KeyCleanupPolicy, "compact,delete"}, "does not go with cleanup.policy=compact,delete"},
		{[]string{KeyFlushMs, "0"}, "not from 1 to 60000"},
		{[]string{KeyFlushMs, "60001"}, "not from 1 to 60000"},
		{[]string{KeyFlushMs, "9223372036854775807"}, "not from 1 to 60000"},
		{[]string{KeyFlushMessages, "1"}, "contradict"},
	} {
		_, err := Parse(settings(append(interval, c.pairs...)...))
		if fault.CodeOf(err) != fault.InvalidConfig || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.pairs, err)
		}
		for _, order := range [][2][]string{{interval, c.pairs}, {c.pairs, interval}} {
			first, err := Parse(settings(order[0]...))
			if err != nil {
				t.Fatal(err)
			}
			op := Op{Key: order[1][0], Value: &order[1][1]}
			if _, err := Plan(first, []Op{op}, false); fault.CodeOf(err) != fault.InvalidConfig || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v on %v: %v", order[1], order[0], err)
			}
		}
		both := map[string]string{}
		for _, pairs := range [][]string{interval, c.pairs} {
			both[pairs[0]] = pairs[1]
		}
		is := Stored(maps.Clone(both))
		if is.Compact && (is.FlushMs != 0 || is.Class() != state.ClassCompact) || is.FlushMs > MaxFlushMs {
			t.Errorf("%v came out of the log as %+v", both, is)
		}
		if _, err := Plan(is, []Op{{Key: KeyRetentionMs, Value: ptr("5")}}, false); err != nil {
			t.Errorf("%v: another key is refused: %v", both, err)
		}
	}
}
