package measure

import (
	"bytes"
	"compress/flate"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A ratio is that of the medians, beside what it has to be; one that has no base says so instead of being 0.
func TestRatio(t *testing.T) {
	var out strings.Builder
	r := NewResults(&out, "test", t.TempDir())
	for n, v := range []float64{1, 9, 3} {
		r.Add("ours", n, map[string]float64{"x_ms": 2 * v})
		r.Add("raw", n, map[string]float64{"x_ms": v})
	}
	if got := r.Ratio("x_ms", "ours", "raw", "≤ 3"); got != 2 {
		t.Errorf("ratio %v, not 2", got)
	}
	if got := r.Ratio("x_ms", "ours", "nobody", ""); got != 0 {
		t.Errorf("ratio %v to nobody", got)
	}
	for _, want := range []string{
		"ratio x_ms ours / raw = 2.00 (has to be ≤ 3)\n", "ratio x_ms ours / nobody: none\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}

// Quantiles come from the sorted durations, in milliseconds.
func TestLatencies(t *testing.T) {
	var d []time.Duration
	for i := 1000; i > 0; i-- {
		d = append(d, time.Duration(i)*time.Millisecond)
	}
	got := map[string]float64{}
	Latencies(got, d)
	if got["p50_ms"] != 501 || got["p99_ms"] != 991 || got["p999_ms"] != 1000 {
		t.Errorf("got %v", got)
	}
}

// What Fill writes is the same for a seed, and cannot be compressed.
func TestFill(t *testing.T) {
	a, b := make([]byte, 10_001), make([]byte, 10_001)
	Fill(a, 7)
	Fill(b, 7)
	if !bytes.Equal(a, b) {
		t.Error("one seed, two fillings")
	}
	Fill(b, 8)
	if bytes.Equal(a, b) {
		t.Error("two seeds, one filling")
	}
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(a)
	if _ = w.Close(); small.Len() < len(a) {
		t.Errorf("%d bytes were compressed to %d", len(a), small.Len())
	}
}

// A file that was written and read is in the page cache, and is not after it was cooled; the device and the
// process are charged for what is read then. Skipped where the kernel or the file system does not tell.
func TestCool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const size = 4 << 20
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := DeviceIO(path); err != nil {
		t.Skip(err)
	}
	cached, err := Cached(path)
	if err != nil || cached < 0 {
		t.Skip("the kernel does not tell what is cached:", err)
	}
	if cached < size {
		t.Errorf("%d bytes are cached, not %d", cached, size)
	}
	left, err := Cool(path, false)
	if err != nil || left > size/2 {
		t.Fatalf("%d bytes stayed in the cache, %v", left, err)
	}
	before, err := ProcessIO(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	after, err := ProcessIO(os.Getpid())
	if read := after.Since(before).Read; err != nil || read < size/2 {
		t.Errorf("%d bytes came from the disk, %v", read, err)
	}
}
