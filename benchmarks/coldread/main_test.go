package main

import (
	"os"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// The program runs through with tiny sizes and prints every ratio that it is there for.
func TestQuick(t *testing.T) {
	dir := t.TempDir()
	if _, err := measure.DeviceIO(dir); err != nil {
		t.Skip(err)
	}
	if _, err := measure.ProcessIO(os.Getpid()); err != nil {
		t.Skip(err)
	}
	c := settings{Settings: measure.Settings{Dir: dir, Quick: true}, entry: 16 << 10, readBytes: 1 << 20}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ratio rate_mb_s engine/one/cold / raw/strided/cold = ",
		"# ratio rate_mb_s engine/all/cold / raw/sequential/cold = ",
		"# disk_bytes_per_byte of engine/one/cold = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
