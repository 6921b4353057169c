package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// blockDevice is the folder in which the kernel tells of the device that holds dir.
func blockDevice(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("the device of %s cannot be told here", dir)
	}
	major, minor := unix.Major(st.Dev), unix.Minor(st.Dev)
	path, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", major, minor))
	if err != nil {
		return "", fmt.Errorf("the device of %s (%d:%d) is no disk: %w", dir, major, minor, err)
	}
	return path, nil
}
