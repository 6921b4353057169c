package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTicks is how many ticks of /proc/<pid>/stat are a second; it is 100 on every Linux that Go runs on.
const clockTicks = 100

// CPU is the processor time that a process has used, user and system.
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const user, system = 11, 12 // fields 14 and 15 of the whole line
	if len(f) <= system {
		return 0, fmt.Errorf("stat of process %d has %d fields", pid, len(f))
	}
	u, err1 := strconv.ParseInt(f[user], 10, 64)
	s, err2 := strconv.ParseInt(f[system], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("stat of process %d: %q and %q are no times", pid, f[user], f[system])
	}
	return time.Duration(u+s) * time.Second / clockTicks, nil
}

// AnonymousMemory is the resident memory of a process that no file backs, in bytes. Mapped files are left
// out: the kernel takes them back when it needs room.
func AnonymousMemory(pid int) (int64, error) {
	return memoryOf(pid, "RssAnon")
}

// ResidentMemory is all that a process has in memory, mapped files included, in bytes.
func ResidentMemory(pid int) (int64, error) { return memoryOf(pid, "VmRSS") }

func memoryOf(pid int, name string) (int64, error) {
	v := field(fmt.Sprintf("/proc/%d/status", pid), name)
	kb, err := strconv.ParseInt(strings.TrimSuffix(v, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s of process %d is %q", name, pid, v)
	}
	return kb << 10, nil
}
