package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What makes a file system a risk.
const (
	overNetwork = "its locks, its syncs and its mappings are only as good as the network"
	inUser      = "its syncs are only as good as the program behind it"
	layered     = "a layer of a container goes with the container"
	inMemory    = "it is gone with the next start of the machine"
)

// fileSystems are those that people keep data on, by their magic numbers.
var fileSystems = map[int64]struct{ name, risk string }{
	unix.EXT4_SUPER_MAGIC: {"ext4", ""}, unix.XFS_SUPER_MAGIC: {"xfs", ""}, unix.BTRFS_SUPER_MAGIC: {"btrfs", ""},
	unix.F2FS_SUPER_MAGIC: {"f2fs", ""}, 0x2fc12fc1: {"zfs", ""},
	unix.NFS_SUPER_MAGIC: {"nfs", overNetwork}, unix.SMB_SUPER_MAGIC: {"smb", overNetwork},
	unix.CIFS_SUPER_MAGIC: {"cifs", overNetwork}, unix.SMB2_SUPER_MAGIC: {"smb", overNetwork},
	unix.CEPH_SUPER_MAGIC: {"ceph", overNetwork}, unix.V9FS_MAGIC: {"9p", overNetwork},
	unix.AFS_SUPER_MAGIC: {"afs", overNetwork}, unix.FUSE_SUPER_MAGIC: {"fuse", inUser},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlay", layered}, unix.TMPFS_MAGIC: {"tmpfs", inMemory}, unix.RAMFS_MAGIC: {"ramfs", inMemory},
}

// fileSystem names the file system of a directory, and what is wrong with it; both are empty where that is not
// known.
func fileSystem(dir string) (name, risk string) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return "", ""
	}
	k := fileSystems[int64(uint32(st.Type))]
	return k.name, k.risk
}

// readAhead is how much the kernel reads ahead on the disk of a directory, in KB. ok is false where it is on
// no disk.
func readAhead(dir string) (device string, kb int, ok bool) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return "", 0, false
	}
	return readAheadBelow("/sys/dev/block", unix.Major(st.Dev), unix.Minor(st.Dev))
}

// readAheadBelow looks for a device by its numbers. A partition of a disk is asked for its disk.
func readAheadBelow(root string, major, minor uint32) (device string, kb int, ok bool) {
	at, err := filepath.EvalSymlinks(filepath.Join(root, fmt.Sprintf("%d:%d", major, minor)))
	if err != nil {
		return "", 0, false
	}
	for range 2 {
		if b, err := os.ReadFile(filepath.Join(at, "queue", "read_ahead_kb")); err == nil {
			kb, err = strconv.Atoi(strings.TrimSpace(string(b)))
			return filepath.Base(at), kb, err == nil
		}
		at = filepath.Dir(at)
	}
	return "", 0, false
}

// openFileLimit is how many files a process that is started here may open.
func openFileLimit() (uint64, bool) {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	return l.Max, err == nil // Go raises the soft limit to the hard one
}

// clockSynced asks the kernel whether somebody keeps the clock right. ok is false where it may not be asked.
func clockSynced() (synced, ok bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, true
}
