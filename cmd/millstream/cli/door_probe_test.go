package cli

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
)

// Goal: whoever gives the address of another door, or of a member without a gRPC door, is told so, and where the right one
// is. Method: a member with all doors, one without gRPC, and a listener that says nothing; a table of command lines.
func TestWrongDoors(t *testing.T) {
	const free = "127.0.0.1:0"
	m, err := cluster.Start(t.Context(), cluster.Config{Kafka: free, GRPC: free, HTTP: free})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	closed, err := cluster.Start(t.Context(), cluster.Config{Kafka: free})
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	env := []string{"HOME=" + t.TempDir()}
	for _, line := range []string{
		"context add all --kafka " + m.KafkaAddr() + " --grpc " + m.GRPCAddr(),
		"context add closed --kafka " + closed.KafkaAddr() + " --grpc 127.0.0.1:1",
		"context add none --kafka " + closed.KafkaAddr(),
	} {
		commandLine(t, "", env, strings.Fields(line)...).must(t, 0)
	}
	for _, tt := range []struct {
		more []string
		line string
		code int
		says []string
	}{
		{nil, "topic ls --context all --addr " + m.KafkaAddr(), exitUnreachable,
			[]string{m.KafkaAddr() + " is a Kafka door", "speaks gRPC", "try: --addr " + m.GRPCAddr()}},
		{nil, "topic ls --context all --addr " + m.HTTPAddr(), exitUnreachable,
			[]string{m.HTTPAddr() + " is an HTTP door", "try: --addr " + m.GRPCAddr()}},
		{[]string{"MILLSTREAM_ADDR=" + m.KafkaAddr()}, "group ls", exitUnreachable, []string{"is a Kafka door", "try: --addr"}},
		{nil, "consume x --context closed", exitUnreachable,
			[]string{"no member answers at 127.0.0.1:1", "a Kafka door answers at " + closed.KafkaAddr(), "--grpc-listen"}},
		{nil, "produce x --context none", exitUsage, []string{"no address of the gRPC door", "--addr ADDRESS"}},
		{[]string{"MILLSTREAM_BROKERS=" + m.KafkaAddr()}, "topic ls", exitUsage, []string{"names a Kafka door", "set MILLSTREAM_ADDR"}},
		{[]string{"MILLSTREAM_BROKERS=" + m.KafkaAddr()}, "topic ls --context all", 0, nil},
	} {
		o := commandLine(t, "", append(tt.more, env...), strings.Fields(tt.line)...)
		if o.code != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.line, o.code, tt.code)
		}
		o.says(t, tt.says...)
	}
}

// Goal: only a Kafka door and an HTTP door are taken for one. Method: listeners that say something else, or nothing.
func TestOtherPrograms(t *testing.T) {
	for name, says := range map[string]string{"silent": "", "shell": "SSH-2.0-x\r\n", "zeros": strings.Repeat("\x00", 16)} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Skipf("a loopback port is needed: %v", err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, says)
				_ = c.Close()
			}
		}()
		if noun := doorAt(t.Context(), l.Addr().String()); noun != "" {
			t.Errorf("%s is taken for a %s door", name, noun)
		}
		_ = l.Close()
		<-done
	}
}
