package foreign

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Remove()
	os.Exit(code)
}

// Goal: what a client writes, under each of its codecs, is what it reads from the beginning. Method: 200 records a
// codec into one topic of three partitions, then read all of them, compare partition, offset and value.
func TestRecords(t *testing.T) {
	const each = 200
	onEach(t, func(t *testing.T, c *client, run func(args ...string) *exec.Cmd) {
		s := harness.StartServer(t, t.TempDir(), "--groups-rebalance-delay", "0s")
		createTopic(t, s.Kafka(), "records", 3)
		wrote := map[string]bool{}
		for _, codec := range c.codecs {
			w := play(t, "writer", run("produce", s.Kafka(), "records", codec, strconv.Itoa(each)), nil)
			w.end()
			for _, f := range w.facts("produced") {
				wrote[f] = true
			}
		}
		if len(wrote) != each*len(c.codecs) {
			t.Fatalf("%d records were acknowledged under %v", len(wrote), c.codecs)
		}
		r := play(t, "reader", run("consume", s.Kafka(), "records", strconv.Itoa(len(wrote))), nil)
		r.end()
		read := map[string]bool{}
		for _, f := range r.facts("read") {
			read[f] = true
		}
		if !maps.Equal(wrote, read) {
			t.Fatalf("%d records were written, %d others read", len(wrote), len(read))
		}
		s.Stop()
	})
}

// Goal: an administrator gets what Kafka would give. Method: the script checks every answer itself and says ok to
// each step.
func TestAdmin(t *testing.T) {
	onEach(t, func(t *testing.T, c *client, run func(args ...string) *exec.Cmd) {
		s := harness.StartServer(t, t.TempDir(), "--groups-rebalance-delay", "0s")
		a := play(t, "administrator", run("admin", s.Kafka()), nil)
		a.end()
		if got := a.facts("ok"); !slices.Equal(got, c.admin) {
			t.Fatalf("%s", strings.Join(got, " "))
		}
		s.Stop()
	})
}
