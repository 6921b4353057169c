package engine_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// Goal: a store does not write many times what it is given. Method: compare what the kernel counts as written by this
// process with the entries: large ones at full speed, and small ones that are synced alone.
func TestWrittenBytes(t *testing.T) {
	for _, c := range []struct {
		n, bytes int
		most     float64
	}{{100, 512 << 10, 1.5}, {300, 16 << 10, 4}} {
		s := openDisk(t, engine.Options{Dir: t.TempDir(), BallastBytes: -1})
		l := enginetest.NewLog(1, state.ClassLong)
		put(t, s, l.Class, l.Append(1, entries(1, 100)...))
		before := writtenBytes(t)
		for range c.n {
			put(t, s, l.Class, l.Append(1, entries(1, c.bytes)...))
		}
		written := writtenBytes(t) - before
		if written == 0 {
			t.Skip("the kernel does not count what is written to the temporary directory")
		}
		times := float64(written) / float64(c.n*c.bytes)
		t.Logf("%d entries of %d bytes: %.2f times as much was written", c.n, c.bytes, times)
		if times > c.most {
			t.Errorf("%d entries of %d bytes: %.2f times as much was written, at most %.1f is all right", c.n, c.bytes,
				times, c.most)
		}
	}
}

// writtenBytes is what this process has had written to disks so far.
func writtenBytes(t *testing.T) (n int64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("the kernel does not count what is written: %v", err)
	}
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	t.Skip("the kernel does not count what is written")
	return 0
}
