package cluster

import "golang.org/x/sys/unix"

// machineMemory is the machine's main memory in bytes.
func machineMemory() int64 {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return unknownMemory
	}
	return int64(s.Totalram) * int64(s.Unit)
}
