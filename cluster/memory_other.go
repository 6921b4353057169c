//go:build !linux

package cluster

// machineMemory is the machine's main memory in bytes, as far as this build can tell.
func machineMemory() int64 { return unknownMemory }
