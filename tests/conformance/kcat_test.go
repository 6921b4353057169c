package conformance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/millstream-io/millstream/tests/harness"
)

// Goal: kcat writes 20,000 lines under each codec and reads the same bytes, also after kill -9 and restart.
// Method: the real binary as a process, one topic a codec.
func TestKcat(t *testing.T) {
	kcat := harness.Kcat(t)
	dir := t.TempDir()
	s := harness.StartServer(t, dir, "--topics-auto-create")
	text := lines(20_000)
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	for _, codec := range codecs {
		produce := exec.Command(kcat, "-b", s.Kafka(), "-P", "-t", "lines-"+codec, "-z", codec, "-X", "acks=all")
		produce.Stdin = bytes.NewReader(text)
		if out, err := produce.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v\n%s", codec, err, out)
		}
		compare(t, kcat, s, codec, text)
	}
	s.Kill()
	s = harness.StartServer(t, dir)
	for _, codec := range codecs {
		compare(t, kcat, s, codec, text)
	}
	s.Stop()
}

func compare(t *testing.T, kcat string, s *harness.Server, codec string, want []byte) {
	t.Helper()
	got, err := exec.Command(kcat, "-b", s.Kafka(), "-C", "-t", "lines-"+codec, "-o", "beginning", "-e", "-q").Output()
	if err != nil {
		t.Fatalf("%s: %v", codec, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: read %d bytes that differ from the %d written", codec, len(got), len(want))
	}
}

// lines makes n lines of 1 to 200 bytes, the same ones in every run.
func lines(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%d ", i)
		for range r.IntN(190) {
			b.WriteByte(byte('!' + r.IntN(90)))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
