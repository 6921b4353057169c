package foreign

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/tests/harness"
)

// partitions of the topic that a group reads.
const partitions = 4

func adminOf(t *testing.T, address string) *kadm.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kadm.NewClient(c)
}

func withLimit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func createTopic(t *testing.T, address, topic string, n int32) {
	t.Helper()
	if _, err := adminOf(t, address).CreateTopic(withLimit(t), n, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

// ledger is what the members of a group and their writer were told.
type ledger struct {
	mu        sync.Mutex
	produced  map[string]bool // partition, offset and value
	read      map[string]bool
	committed map[int]int64
	owns      map[string][]string // partitions, by name of the member
	faults    []error
}

func newLedger() *ledger {
	return &ledger{
		produced: map[string]bool{}, read: map[string]bool{},
		committed: map[int]int64{}, owns: map[string][]string{},
	}
}

// note takes a line of the script of that name. What lies below a position that was committed before is not to be
// read again.
func (l *ledger) note(name string) func(line string) {
	return func(line string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		word, rest, _ := strings.Cut(line, " ")
		var partition int
		var at int64
		switch word {
		case "produced":
			l.produced[rest] = true
		case "read":
			if _, err := fmt.Sscan(rest, &partition, &at); err != nil || at < l.committed[partition] {
				done := l.committed[partition]
				l.faults = append(l.faults, fmt.Errorf("%s: %s, %d was committed (%v)", name, line, done, err))
			}
			l.read[rest] = true
		case "committed":
			if _, err := fmt.Sscan(rest, &partition, &at); err != nil {
				l.faults = append(l.faults, fmt.Errorf("%s: %s: %w", name, line, err))
			}
			l.committed[partition] = max(l.committed[partition], at)
		case "owns":
			l.owns[name] = strings.FieldsFunc(rest, func(r rune) bool { return r == ',' })
		}
	}
}

// forget drops what a member had that was killed.
func (l *ledger) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.owns, name)
}

// shared reports whether so many members have all partitions, each has some, and none has two owners.
func (l *ledger) shared(members int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	some := 0
	for _, owned := range l.owns {
		all = append(all, owned...)
		some += min(1, len(owned))
	}
	slices.Sort(all)
	return some == members && slices.Equal(all, []string{"0", "1", "2", "3"})
}

func (l *ledger) counts() (produced, read int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.produced), len(l.read)
}

// missing returns how many acknowledged records were never read.
func (l *ledger) missing() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.produced {
		if !l.read[r] {
			n++
		}
	}
	return n
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d acknowledged, %d read, committed %v, owners %v",
		len(l.produced), len(l.read), l.committed, l.owns)
}

// Goal: a group of a client's members shares a topic while members join, are killed and come back and the server
// is killed and comes back; nothing acknowledged is lost, nothing committed is read again. Method: one writer and up
// to two members as processes, the real binary, kill -9 of both kinds, under each strategy.
func TestGroups(t *testing.T) {
	onEach(t, func(t *testing.T, c *client, run func(args ...string) *exec.Cmd) {
		if len(c.balancer) == 0 {
			t.Skip("consumers of this client do not get over a new leader epoch: they misread every tagged field of an " +
				"answer, and ask for offsets with the old epoch again and again; see doc.go")
		}
		for _, strategy := range c.balancer {
			t.Run(strategy, func(t *testing.T) { group(t, run, strategy) })
		}
	})
}

func group(t *testing.T, run func(args ...string) *exec.Cmd, strategy string) {
	dir := t.TempDir()
	s := harness.StartServer(t, dir, "--groups-rebalance-delay", "0s")
	address := s.Kafka()
	createTopic(t, address, "shared", partitions)
	l := newLedger()
	member := func(name string) *child {
		return play(t, name, run("member", address, "readers", "shared", strategy), l.note(name))
	}
	writer := play(t, "writer", run("load", address, "shared"), l.note("writer"))
	one := member("one")
	await(t, l, func() bool { return l.shared(1) && read(l) > 100 }, "one to have all", writer, one)
	two := member("two")
	await(t, l, func() bool { return l.shared(2) }, "two to share", writer, one, two)

	s.Kill()
	s = harness.StartServer(t, dir, "--groups-rebalance-delay", "0s", "--kafka-listen", address)
	wrote, _ := l.counts()
	await(t, l, func() bool { n, _ := l.counts(); return n > wrote+100 && l.missing() < 100 }, "life behind the restart",
		writer, one, two)

	one.kill()
	l.forget("one")
	await(t, l, func() bool { return l.shared(1) }, "two to have all", writer, two)
	one = member("one")
	await(t, l, func() bool { return l.shared(2) }, "two to share again", writer, one, two)
	writer.stop()
	await(t, l, func() bool { return l.missing() == 0 }, "everything to be read", one, two)
	one.stop()
	two.stop()
	atEnd(t, l, address)
	s.Stop()
}

func read(l *ledger) int {
	_, n := l.counts()
	return n
}

// await waits for a fact of the ledger while the scripts run.
func await(t *testing.T, l *ledger, fact func() bool, what string, scripts ...*child) {
	t.Helper()
	ended := func() *child {
		for _, c := range scripts {
			if !c.running() {
				return c
			}
		}
		return nil
	}
	defer func() {
		if t.Failed() {
			for _, c := range scripts {
				t.Logf("%s: %s", c.name, c.log())
			}
		}
	}()
	met := false
	harness.Await(t, limit, func() bool { met = fact(); return met || ended() != nil }, "%s: %s", what, l)
	if c := ended(); !met && c != nil {
		t.Fatalf("%s ended before %s: %v, %s", c.name, what, c.err, l)
	}
}

// atEnd compares the committed positions with the ends of the partitions.
func atEnd(t *testing.T, l *ledger, address string) {
	t.Helper()
	a := adminOf(t, address)
	ends, err := a.ListEndOffsets(withLimit(t), "shared")
	if err != nil {
		t.Fatal(err)
	}
	positions, err := a.FetchOffsets(withLimit(t), "readers")
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(partitions) {
		end, _ := ends.Lookup("shared", p)
		at, ok := positions.Lookup("shared", p)
		if !ok || at.At != end.Offset {
			t.Errorf("partition %d: %d is committed, %d is the end", p, at.At, end.Offset)
		}
	}
	for i, f := range l.faults {
		if i == 10 {
			t.Fatalf("and %d more faults", len(l.faults)-i)
		}
		t.Error(f)
	}
	t.Logf("%s", l)
}
