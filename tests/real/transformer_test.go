package real

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/tests/harness"
	"github.com/millstream-io/millstream/topology"
)

// childDir is the variable that makes this test binary a member with the text transformer, on that directory.
const childDir = "MILLSTREAM_TEST_TRANSFORMER"

// runTransformer is the child process: it prints its address and runs until it is killed.
func runTransformer(dir string) error {
	ctx := context.Background()
	m, err := cluster.Start(ctx, cluster.Config{
		DataDir: dir, Kafka: "127.0.0.1:0", AutoCreateTopics: true, DefaultPartitions: partitions,
	})
	if err != nil {
		return err
	}
	b := topology.NewBuilder("text-transformer")
	in := topology.NewTopic[string, string]("text-input", nil, nil)
	out := topology.NewTopic[string, string]("text-output", nil, nil)
	lines := topology.From(b, in, topology.FromEarliest())
	kept := lines.Filter(func(_, line string) bool { return strings.Contains(line, "a") })
	topology.MapValues(kept, strings.ToUpper).To(out)
	topo, err := b.Build()
	if err != nil {
		return err
	}
	fmt.Println(m.KafkaAddr())
	return m.Run(ctx, topo)
}

// child is a running transformer process.
type child struct {
	cmd     *exec.Cmd
	address string
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child gave no address: %v", err)
	}
	c.address = strings.TrimSpace(line)
	return c
}

// kill ends the process at once; it is idempotent.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.cmd.Wait()
}

// Goal: at-least-once: whatever kills the process, the output of every acknowledged input line is there, and
// nothing else is. Method: a member with the text transformer in a child process, killed with -9 at random
// times while lines are written; at the end all outputs are read and compared.
func TestTransformerAtLeastOnce(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(11, uint64(*kills)))
	var in inputs
	for round := range *kills {
		c := startChild(t, dir)
		stop := in.feed(t, c.address, round)
		in.awaitMore(t, 500)
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(rng.IntN(300))*time.Millisecond, func() { c.kill(); close(killed) })
		<-killed
		stop()
	}
	c := startChild(t, dir)
	in.compare(t, c.address)
	c.kill()
}

// inputs are the lines that were sent and those that were acknowledged.
type inputs struct {
	mu          sync.Mutex
	sent, acked map[string]bool
}

func (in *inputs) feed(t *testing.T, address string, round int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := connect(t, address, kgo.DefaultProduceTopic("text-input"), kgo.AllowAutoTopicCreation(),
		kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(500))
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			line := fmt.Sprintf("round %d line %d %s", round, i, []string{"alpha", "omicron"}[i%2])
			in.note(line, false)
			c.Produce(ctx, kgo.StringRecord(line), func(_ *kgo.Record, err error) {
				if err == nil {
					in.note(line, true)
				}
			})
		}
	})
	return func() {
		cancel()
		running.Wait()
		c.Close()
	}
}

func (in *inputs) note(line string, acked bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.sent == nil {
		in.sent, in.acked = map[string]bool{}, map[string]bool{}
	}
	in.sent[line] = true
	if acked {
		in.acked[line] = true
	}
}

func (in *inputs) awaitMore(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		in.mu.Lock()
		defer in.mu.Unlock()
		return len(in.acked)
	}
	begin := count()
	harness.Await(t, limit, func() bool { return count() >= begin+n }, "%d more acknowledged lines", n)
}

// compare reads outputs until every acknowledged line that has an "a" came out.
func (in *inputs) compare(t *testing.T, address string) {
	t.Helper()
	missing, allowed := map[string]bool{}, map[string]bool{}
	for line := range in.sent {
		if strings.Contains(line, "a") {
			allowed[strings.ToUpper(line)] = true
		}
	}
	for line := range in.acked {
		if strings.Contains(line, "a") {
			missing[strings.ToUpper(line)] = true
		}
	}
	lines, seen := len(missing), 0
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := connect(t, address, kgo.ConsumeTopics("text-output"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	for len(missing) > 0 {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil {
			t.Fatalf("%d of %d outputs are missing: %v", len(missing), lines, err)
		}
		for _, r := range f.Records() {
			seen++
			if !allowed[string(r.Value)] {
				t.Fatalf("output %q belongs to no input", r.Value)
			}
			delete(missing, string(r.Value))
		}
	}
	t.Logf("%d acknowledged lines with an \"a\", all came out; %d outputs read", lines, seen)
}
