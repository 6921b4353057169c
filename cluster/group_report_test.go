package cluster

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
)

// Goal: the HTTP door tells why a group rebalanced, and of no group that there is not. Method: a group of one
// member that another joins; the document is read over the door.
func TestGroupReport(t *testing.T) {
	m := startGroups(t, Config{HTTP: "127.0.0.1:0"})
	if code, text := ask(t, m.HTTPAddr(), "/groups/nobody"); code != http.StatusNotFound || !strings.Contains(text, `"nobody"`) {
		t.Errorf("no group: %d %s", code, text)
	}
	first := m.form("readers")
	m.joins("readers", "") // waits for the first, which is told to come again
	for fault.CodeOf(m.beat("readers", first)) != fault.RebalanceInProgress {
	}
	var r GroupReport
	code, text := ask(t, m.HTTPAddr(), "/groups/readers")
	if err := json.Unmarshal([]byte(text), &r); code != http.StatusOK || err != nil {
		t.Fatalf("%d %v %s", code, err, text)
	}
	if r.Name != "readers" || r.State != "PreparingRebalance" || r.Generation != first.Generation || r.Members != 2 {
		t.Errorf("%+v", r)
	}
	var said []string
	for _, e := range r.Journal {
		if e.At.IsZero() {
			t.Errorf("a line without a time: %+v", e)
		}
		said = append(said, e.What)
	}
	rebalances := strings.Count(strings.Join(said, "\n"), "rebalance: ")
	if rebalances != 2 || r.Journal[len(said)-1].Member == "" || r.Journal[len(said)-1].Member == first.Member {
		t.Errorf("the journal: %q", said)
	}
}
