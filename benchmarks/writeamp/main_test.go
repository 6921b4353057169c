package main

import (
	"os"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// The program runs through with tiny sizes and prints every figure that it is there for.
func TestQuick(t *testing.T) {
	dir := t.TempDir()
	if _, err := measure.DeviceIO(dir); err != nil {
		t.Skip(err)
	}
	if _, err := measure.ProcessIO(os.Getpid()); err != nil {
		t.Skip(err)
	}
	var out strings.Builder
	if err := run(settings{Settings: measure.Settings{Dir: dir, Quick: true}}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# device_bytes_per_byte of engine/entry=16384 = ",
		"# ratio device_bytes_per_byte engine/lone=1024 / raw/append=1024 = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
