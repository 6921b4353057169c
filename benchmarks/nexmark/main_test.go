package main

import (
	"os"
	"strings"
	"testing"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// The program runs through with tiny sizes and prints every figure that it is there for.
func TestQuick(t *testing.T) {
	if _, err := measure.CPU(os.Getpid()); err != nil {
		t.Skip(err)
	}
	c := settings{Settings: measure.Settings{Dir: t.TempDir(), Quick: true}, seed: 1}
	var out strings.Builder
	if err := run(c, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# ns_per_record of chain = ", "# events_per_cpu_s of q0 = ", "# events_per_cpu_s of q20 = ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
