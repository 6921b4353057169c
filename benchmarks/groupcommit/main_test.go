package main

import (
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// The program runs through with tiny sizes and prints every ratio that it is there for.
func TestQuick(t *testing.T) {
	var out strings.Builder
	if err := run(settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ratio rate_mb_s engine/entry=16384 / raw/group=1048576 = ",
		"ratio group_p99_ms engine/entry=1024 / raw/group=1048576 = ",
		"ratio p50_ms engine/lone=4096 / raw/append=4096 = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
