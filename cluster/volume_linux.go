package cluster

import "golang.org/x/sys/unix"

// volumeBytes is the size of the volume that dir is on, -1 where that is not known.
func volumeBytes(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return -1
	}
	return int64(st.Blocks) * st.Frsize
}
