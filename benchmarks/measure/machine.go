package measure

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine describes what a benchmark ran on, in one line. dir is on the device that is measured.
func Machine(dir string) string {
	return fmt.Sprintf("%s; %d CPU; %s; kernel %s; %s; %s; read_ahead_kb %s; load %s",
		cpu(), runtime.NumCPU(), memory(), word("/proc/sys/kernel/osrelease"), runtime.Version(),
		filesystem(dir), readAhead(), word("/proc/loadavg"))
}

// Touch writes to n bytes of fresh memory and gives them back, so that the guest's pages are there when it
// counts.
func Touch(n int) {
	b := make([]byte, n)
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	runtime.KeepAlive(b)
}

func cpu() string { return field("/proc/cpuinfo", "model name") }

func memory() string { return "RAM " + field("/proc/meminfo", "MemTotal") }

// field returns the value of the first line "name : value".
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// word returns the first word of a file.
func word(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	if f := strings.Fields(string(b)); len(f) > 0 {
		return f[0]
	}
	return "unknown"
}

// filesystem is the type of the file system that holds dir.
func filesystem(dir string) string {
	b, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "unknown"
	}
	best, kind := "", "unknown"
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 2 && strings.HasPrefix(dir, f[1]) && len(f[1]) > len(best) {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

// readAhead lists the read-ahead of the block devices.
func readAhead() string {
	entries, err := os.ReadDir("/sys/block")
	if err != nil {
		return "unknown"
	}
	var all []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "loop") && !strings.HasPrefix(e.Name(), "ram") {
			all = append(all, e.Name()+"="+word("/sys/block/"+e.Name()+"/queue/read_ahead_kb"))
		}
	}
	return strings.Join(all, ",")
}
