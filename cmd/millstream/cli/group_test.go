package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-io/millstream/cluster"
)

// atDev runs dev in this process and returns how to give it command lines.
func atDev(t *testing.T) (cmd func(line string) outcome, env []string, end func()) {
	t.Helper()
	b := inBackground(t, "dev", "--data", t.TempDir(), "--kafka", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
	env = []string{"MILLSTREAM_ADDR=" + b.says(grpcLine)}
	return func(line string) outcome { return commandLine(t, "", env, strings.Fields(line)...) }, env, b.ends
}

// Goal: a group's whole life at the command line: read, go on, list, describe, lag, reset with a dry run first,
// delete; with stable output and the right exit codes. Method: the commands against dev in this process; what
// they print is golden.
func TestGroupLife(t *testing.T) {
	cmd, env, end := atDev(t)
	if o := cmd("group ls --output json").must(t, 0); strings.TrimSpace(o.stdout) != "[]" {
		t.Errorf("an empty list is %q, want []", o.stdout)
	}
	cmd("group describe billing").must(t, 3).says(t, `there is no group "billing"`, "group ls")
	cmd("group reset billing --to-start").must(t, 3).says(t, `there is no group "billing"`)
	commandLine(t, "a\nb\nc\nd\n", env, "produce", "orders").must(t, 0)
	var said strings.Builder
	for _, line := range []string{
		"consume orders -g billing -n 3", "consume orders -g billing --exit-at-end", "group ls", "group ls --output json",
		"group ls --state stable --output name", "group describe billing", "group describe billing --output json",
		"group lag billing", "group lag billing --output json", "group reset billing --shift -3",
		"group reset billing --to-offset 99 --output json", "group lag billing", "group reset billing --shift -3 --execute",
		"consume orders -g billing --exit-at-end", "group reset billing --to-start --topic orders:0 --execute",
		"group reset billing --by-duration 1h", "group reset billing --to-time 2000-01-01", "group reset billing --to-end",
		"group delete billing --dry-run", "group delete billing --yes", "group ls",
	} {
		said.WriteString("$ " + line + "\n" + maskedJournal(cmd(line).must(t, 0).stdout))
	}
	golden(t, "group.txt", said.String())
	cmd("group delete billing --yes").must(t, 3)
	for _, line := range []string{"group describe fr", "consume orders -g fr"} {
		cmd("group reset fresh --to-start --topic orders --execute").must(t, 0)
		if o := cmd("__complete "+line).must(t, 0); o.stdout != "fresh\n" {
			t.Errorf("%s is completed to %q", line, o.stdout)
		}
	}
	cmd("group reset fresh --to-end --topic orders --execute").must(t, 0)
	if o := cmd("group lag fresh --output name").must(t, 0); o.stdout != "orders/0\n" {
		t.Errorf("a group made by a reset: %q", o.stdout)
	}
	cmd("group reset fresh --to-end --topic orders:7").must(t, 3).says(t, `no partition 7`)
	cmd("group reset fresh --to-end --topic none").must(t, 3).says(t, `no topic "none"`)
	end()
}

// Goal: a group in use is neither reset nor deleted, and is told who uses it; its description says who reads
// what. Method: a consumer in the background, ended at last.
func TestGroupInUse(t *testing.T) {
	cmd, env, end := atDev(t)
	commandLine(t, "a\n", env, "produce", "orders").must(t, 0)
	addr := strings.TrimPrefix(env[0], "MILLSTREAM_ADDR=")
	b := inBackground(t, "consume", "orders", "-g", "billing", "--addr", addr)
	b.says(`(a)`)
	deadline := time.Now().Add(20 * time.Second)
	var d groupDetail
	for {
		if err := json.Unmarshal([]byte(cmd("group describe billing --output json").must(t, 0).stdout), &d); err != nil {
			t.Fatal(err)
		}
		if d.State == "Stable" || time.Now().After(deadline) {
			break
		}
	}
	if len(d.Members) != 1 || d.Members[0].Client != "millstream" || len(d.Members[0].Partitions["orders"]) != 1 || d.Type != "millstream" {
		t.Errorf("%+v", d)
	}
	why := []string{"Stable with 1 member", `client "millstream"`, "stop its members first"}
	cmd("group reset billing --to-start --execute").must(t, 4).says(t, why...)
	cmd("group reset billing --to-start").must(t, 4).says(t, why...)
	cmd("group delete billing --yes").must(t, 4).says(t, why...)
	b.interrupt()
	if code := <-b.code; code != 130 {
		t.Errorf("an interrupted consumer ends with %d", code)
	}
	if d := cmd("group describe billing").must(t, 0).stdout; !strings.Contains(d, "state       Empty") {
		t.Errorf("after its member has left:\n%s", d)
	}
	end()
}

// Goal: a group in which Kafka's clients are is described and measured like any other, and tells a reader over gRPC why it
// does not take it in. Method: a client of the Kafka door in a group, then the commands.
func TestGroupOfKafkaClients(t *testing.T) {
	m, err := cluster.Start(t.Context(), cluster.Config{
		DataDir: t.TempDir(), Kafka: "127.0.0.1:0", GRPC: "127.0.0.1:0", GroupRebalanceDelay: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	cmd := func(line string) outcome {
		return commandLine(t, "", []string{"MILLSTREAM_ADDR=" + m.GRPCAddr()}, strings.Fields(line)...)
	}
	cmd("topic create orders --partitions 2").must(t, 0)
	cl, err := kgo.NewClient(kgo.SeedBrokers(m.KafkaAddr()), kgo.ConsumerGroup("theirs"), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var d groupDetail
	for limit := time.Now().Add(time.Minute); d.State != "Stable" || len(d.Members[0].Partitions["orders"]) != 2; {
		o := cmd("group describe theirs --output json")
		if d = (groupDetail{}); o.code == 0 {
			if err := json.Unmarshal([]byte(o.stdout), &d); err != nil {
				t.Fatal(err)
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("the client does not get its partitions: %+v\n%s", d, o.stderr)
		}
	}
	if d.Type != "consumer" || d.Coordinator != m.ID() || d.Members[0].Client != "kgo" {
		t.Errorf("%+v", d)
	}
	if o := cmd("group lag theirs").must(t, 0); !strings.Contains(o.stdout, d.Members[0].ID) {
		t.Errorf("the lag names no reader:\n%s", o.stdout)
	}
	cmd("consume orders -g theirs").must(t, exitConflict).says(t, "does not take this reader", `type "consumer"`, "share no group")
}
