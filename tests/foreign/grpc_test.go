package foreign

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/cluster"
)

// Goal: a program in another language produces and consumes with nothing but the .proto files. Method: a script for Node
// that loads them at run time; it says what was written, read and refused.
func TestNodeOverGRPC(t *testing.T) {
	run := node("grpc.js")(t, nil)
	library(t, "node", "node_modules", "@grpc", "grpc-js")
	m, err := cluster.Start(context.Background(), cluster.Config{
		DataDir: t.TempDir(), GRPC: "127.0.0.1:0", AutoCreateTopics: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c := play(t, "grpc.js", run(m.GRPCAddr(), "lines"), nil)
	c.end()
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("%d k%d v%d", i, i, i))
	}
	if got := c.facts("record"); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("read %q, want %q\n%s", got, want, c.log())
	}
	if got := c.facts("refused"); len(got) != 1 || got[0] != "INVALID_ARGUMENT" {
		t.Errorf("refused with %q\n%s", got, c.log())
	}
}
