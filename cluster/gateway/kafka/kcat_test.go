package kafka

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"testing"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Goal: librdkafka compresses with every codec and reads its own lines back. Method: kcat, where it is
// installed; the batch of most records must carry the codec that was asked for (one of a single line is
// not worth compressing).
func TestKcat(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Skip("kcat is not installed")
	}
	var lines bytes.Buffer
	for i := range 2000 {
		fmt.Fprintf(&lines, "line %d of a text that can be compressed\n", i)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		port := newMemPort()
		port.topic("t", 1)
		d := openDoor(t, port)
		p := exec.CommandContext(ctx, kcat, "-P", "-b", d.addr, "-t", "t", "-z", codec.String())
		p.Stdin = bytes.NewReader(lines.Bytes())
		if out, err := p.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", codec, err, out)
		}
		c := exec.CommandContext(ctx, kcat, "-C", "-b", d.addr, "-t", "t", "-o", "beginning", "-e", "-q")
		out, err := c.Output()
		if err != nil || !bytes.Equal(out, lines.Bytes()) {
			t.Fatalf("%s: %d bytes came back of %d: %v", codec, len(out), lines.Len(), err)
		}
		if got := largest(port).Codec(); got != codec {
			t.Fatalf("asked for %s, sent %s", codec, got)
		}
	}
}

// largest is the batch of most records that was produced.
func largest(port *memPort) (most record.Batch) {
	port.mu.Lock()
	defer port.mu.Unlock()
	for _, r := range port.produced {
		if b := record.Batch(r.Frame[state.FrameRoom:]); most == nil || b.Count() > most.Count() {
			most = b
		}
	}
	return most
}
