package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millstream-io/millstream/cluster"
	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state/serde"
	"github.com/millstream-io/millstream/topology"
	"github.com/millstream-io/millstream/topology/plan"
)

// fussy is a serde that cannot do some strings: it does not read "decode!", and does not write what ends in
// "encode!", until the poison is healed.
type fussy struct {
	serde.Serde[string]
	healed *atomic.Bool
}

func (s fussy) Decode(b []byte, info serde.Info) (string, error) {
	if string(b) == "decode!" && !s.healed.Load() {
		return "", errors.New("it is poison")
	}
	return s.Serde.Decode(b, info)
}

func (s fussy) Append(dst []byte, info serde.Info, v string) ([]byte, error) {
	if strings.HasSuffix(v, "encode!") && !s.healed.Load() {
		return dst, errors.New("it is poison")
	}
	return s.Serde.Append(dst, info, v)
}

// poisonCase is one stage at which a record fails, under one policy.
type poisonCase struct {
	stage  plan.Stage
	policy topology.Decision
	healed atomic.Bool
	tries  atomic.Int32
}

// value is what fails at the stage.
func (c *poisonCase) value() string { return c.stage.String() + "!" }

// topology keeps all values of a key, one behind the other, and writes every change out.
func (c *poisonCase) topology(t *testing.T) *topology.Topology {
	t.Helper()
	b := topology.NewBuilder("poison", topology.OnError(
		func(_ context.Context, e *topology.RecordError) topology.Decision {
			c.tries.Add(1)
			if e.Stage != c.stage {
				t.Errorf("failed at %s, want %s: %v", e.Stage, c.stage, e)
			}
			return c.policy
		}))
	values := fussy{serde.String, &c.healed}
	in := topology.From(b, topology.NewTopic("in", serde.String, serde.Serde[string](values)), topology.FromEarliest())
	all := topology.TryAggregate(in.GroupByKey(), func() string { return "" },
		func(_ context.Context, r topology.Record[string, string], sum string) (string, error) {
			if r.Value == "process!" && !c.healed.Load() {
				return "", errors.New("it is poison")
			}
			if c.stage == topology.StageProduce && strings.HasSuffix(sum, r.Value) {
				return sum, nil // its row may be in the changelog when its output is refused: at least once
			}
			return strings.TrimPrefix(sum+","+r.Value, ","), nil
		}, topology.KV("all", serde.String, serde.String))
	topology.MapValues(all.ToStream(), func(v string) string {
		if strings.HasSuffix(v, "produce!") && !c.healed.Load() {
			return v + strings.Repeat(" ", 4000) // too large for the topic
		}
		return v
	}).To(topology.NewTopic("out", serde.String, serde.Serde[string](values)))
	return built(t, b)
}

// Goal: a poisoned record meets its policy at whatever stage it fails in a task that keeps state: Fail stops at it
// and the next Run goes on there; Skip and DeadLetter let it go, where it failed; RetryAfter waits for it to heal. What
// comes behind it is processed, rows change once, and the other task is not held up. Method: each policy at each
// stage on a member; two partitions, poison in one of them.
func TestPoison(t *testing.T) {
	for _, policy := range []topology.Decision{
		topology.Fail, topology.Skip, topology.DeadLetter, topology.RetryAfter(5 * time.Millisecond),
	} {
		for stage := topology.StageDecode; stage <= topology.StageProduce; stage++ {
			t.Run(fmt.Sprint(policy, "/", stage), func(t *testing.T) {
				t.Parallel()
				(&poisonCase{stage: stage, policy: policy}).play(t)
			})
		}
	}
}

func (c *poisonCase) play(t *testing.T) {
	m := start(t, cluster.Config{})
	makeTopics(t, m, 2, "in")
	makeTopics(t, m, 2, "out")
	takes := func(bytes string) { // the largest record of the output topic
		change := client.ConfigChange{Topic: "out", Set: map[string]string{"max.message.bytes": bytes}}
		if err := m.Client().AlterConfigs(testContext(t), change); err != nil {
			t.Fatal(err)
		}
	}
	takes("2000")
	r := run(m, c.topology(t))
	put := func(p int, key, value string) {
		rec := client.Record{Topic: "in", Key: []byte(key), Value: []byte(value)}
		if _, err := m.Client().Produce(testContext(t), rec.At(record.Partition(p))); err != nil {
			t.Fatal(err)
		}
	}
	put(0, "k", "a")
	await(t, m, "out", "a")
	put(0, "k", c.value())
	put(0, "k", "b")
	put(1, "other", "x")
	final := "a," + c.value() + ",b"
	switch c.policy.Kind() {
	case topology.Fail:
		err := r.wait(t)
		var failed *topology.RecordError
		if !errors.As(err, &failed) || failed.Stage != c.stage || !c.hit(failed) {
			t.Fatalf("Run ended with %v", err)
		}
		c.healed.Store(true)
		r = run(m, c.topology(t))
	case topology.Skip, topology.DeadLetter:
		if c.stage == topology.StageDecode || c.stage == topology.StageProcess {
			final = "a,b"
		}
	default:
		await(t, m, "out", "x") // while the poison is tried again and again
		for tick := time.Tick(time.Millisecond); c.tries.Load() < 3; {
			<-tick
		}
		c.healed.Store(true)
		takes("100000") // what was refused is sent again as it is
	}
	await(t, m, "out", final, "x")
	switch c.policy {
	case topology.DeadLetter:
		await(t, m, "poison-dead-letter", c.letter())
	case topology.RetryAfter(5 * time.Millisecond):
		if c.stage == topology.StageProduce {
			await(t, m, "out", c.letter())
		}
	}
	stopRun(t, r)
}

// hit reports whether an error names the poisoned record. One that the output topic refuses is named too.
func (c *poisonCase) hit(e *topology.RecordError) bool {
	return e.Topic == "in" && e.Partition == 0 && e.Offset == 1
}

// letter is the record that fails: the one that was read, or that the output topic refuses.
func (c *poisonCase) letter() string {
	if c.stage == topology.StageProduce {
		return "a,produce!" + strings.Repeat(" ", 4000)
	}
	return c.value()
}
