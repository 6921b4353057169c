package main

import (
	"os"
	"runtime/pprof"
	"runtime/trace"
	"strings"
)

func profiled(name string) func() {
	dir := os.Getenv("TS_PROF")
	if dir == "" {
		return func() {}
	}
	name = strings.ReplaceAll(strings.ReplaceAll(name, "/", "_"), " ", "_")
	f, _ := os.Create(dir + "/" + name + ".pprof")
	pprof.StartCPUProfile(f)
	var tf *os.File
	if os.Getenv("TS_TRACE") != "" {
		tf, _ = os.Create(dir + "/" + name + ".trace")
		trace.Start(tf)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
		if tf != nil {
			trace.Stop()
			tf.Close()
		}
	}
}
func skipped(name string) bool {
	o := os.Getenv("TS_ONLY")
	return o != "" && !strings.Contains(name, o)
}
