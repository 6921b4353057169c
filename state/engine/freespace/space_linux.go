package freespace

import "golang.org/x/sys/unix"

// Of returns what an ordinary user may still write on dir's file system, and its size, in bytes.
func Of(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Frsize, int64(st.Blocks) * st.Frsize, nil
}
