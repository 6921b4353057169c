package plan_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/topology/plan"
)

// Goal: topic names follow the rules of Kafka. Method: a table of good and bad ones.
func TestCheckTopicName(t *testing.T) {
	for _, good := range []string{"a", "orders", "A.b_c-9", "...", strings.Repeat("x", plan.MaxTopicName)} {
		if err := plan.CheckTopicName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	long := strings.Repeat("x", plan.MaxTopicName+1)
	for _, bad := range []string{"", ".", "..", "a b", "a/b", "ä", "a\n", "a:b", long} {
		if plan.CheckTopicName(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Goal: the text of a record error names everything that finds the record, and its cause is reachable.
// Method: one with a position and one without.
func TestRecordError(t *testing.T) {
	cause := errors.New("cause")
	n := &plan.Node{Name: "sink-2", File: "/home/me/app/main.go", Line: 17}
	e := &plan.RecordError{Stage: plan.StageEncode, Node: n, Task: "app/0_1", Err: cause, Topic: "in", Partition: 1, Offset: 42}
	if want := "task app/0_1: encode at sink-2 (main.go:17), record in/1@42: cause"; e.Error() != want {
		t.Errorf("%q, expected %q", e, want)
	}
	e.Topic = ""
	if want := "task app/0_1: encode at sink-2 (main.go:17), in a punctuation: cause"; e.Error() != want {
		t.Errorf("%q, expected %q", e, want)
	}
	if !errors.Is(e, cause) {
		t.Error("cause is lost")
	}
}

// Goal: names of stages and decisions are what headers and logs show, and Always decides always. Method: all
// of them.
func TestNames(t *testing.T) {
	var names []string
	for s := plan.StageDecode; s <= plan.StageProduce+1; s++ {
		names = append(names, s.String())
	}
	for d := plan.Fail; d <= plan.Retry+1; d++ {
		names = append(names, d.String())
		if d.Always(context.Background(), nil) != d {
			t.Errorf("%s decides otherwise", d)
		}
	}
	want := "decode process encode produce unknown fail skip dead-letter retry unknown"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}
