package fault

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/millstream-io/millstream/tests/harness"
)

// volume is a file system of its own for one test.
type volume struct {
	t     *testing.T
	image string // of an ext4; empty for a tmpfs
	dir   string // where it is mounted
}

// newExt4 makes an ext4 of size bytes in a file, on a loop device.
func newExt4(t *testing.T, size int64) *volume {
	t.Helper()
	needRoot(t, "mkfs.ext4", "mount", "umount")
	base := filepath.Join(work(t), "ext4")
	v := &volume{t: t, image: filepath.Join(base, "image"), dir: filepath.Join(base, "mount")}
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(v.image)
	if err := errors.Join(err, f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	// No blocks are kept for root: what the member counts as free is what is free.
	v.run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", v.image)
	if out, err := exec.Command("mount", "-o", "loop", v.image, v.dir).CombinedOutput(); err != nil {
		t.Skipf("no loop device can be had: %v %s", err, out)
	}
	t.Cleanup(v.unmount)
	return v
}

// newTmpfs mounts a file system of size bytes in memory.
func newTmpfs(t *testing.T, size string) *volume {
	t.Helper()
	needRoot(t, "mount", "umount")
	v := &volume{t: t, dir: filepath.Join(work(t), "tmpfs", "mount")}
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", v.dir).CombinedOutput()
	if err != nil {
		t.Skipf("no tmpfs can be mounted: %v %s", err, out)
	}
	t.Cleanup(v.unmount)
	return v
}

func (v *volume) run(name string, args ...string) {
	v.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		v.t.Fatalf("%s %v: %v %s", name, args, err, out)
	}
}

// unmount is for the end of the test: whoever still uses the file system loses it.
func (v *volume) unmount() {
	if err := unix.Unmount(v.dir, unix.MNT_DETACH); err != nil {
		v.t.Errorf("unmount %s: %v", v.dir, err)
	}
}

// data is the directory that members use.
func (v *volume) data() string { return filepath.Join(v.dir, "data") }

// cutPower does to the member and its ext4 what a power cut does: from one moment on nothing reaches the
// disk, and all that was not synced is gone. The process stands still meanwhile, so that it cannot
// acknowledge what a dying disk tells it.
func (v *volume) cutPower(s *harness.Server) {
	v.t.Helper()
	s.Pause()
	v.shutdown()
	s.Kill()
	v.remount()
}

// shutdown makes ext4 stop at once, without writing its own journal: EXT4_IOC_SHUTDOWN with NOLOGFLUSH.
func (v *volume) shutdown() {
	v.t.Helper()
	const extShutdown, noLogFlush = 0x8004587d, 2
	d, err := os.Open(v.dir)
	if err != nil {
		v.t.Fatal(err)
	}
	flag := uint32(noLogFlush)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), extShutdown, uintptr(unsafe.Pointer(&flag)))
	if errno == unix.ENOTTY || errno == unix.EOPNOTSUPP {
		v.t.Skipf("this kernel's ext4 cannot be shut down: %v", errno)
	}
	if errno != 0 {
		v.t.Fatalf("shut the file system down: %v", errno)
	}
	_ = d.Close()
}

// remount takes the file system away and brings back what reached the image.
func (v *volume) remount() {
	v.t.Helper()
	v.run("umount", v.dir)
	v.run("mount", "-o", "loop", v.image, v.dir)
}

// fill writes a file that leaves about free bytes on the volume, or takes some of it back.
func (v *volume) fill(free int64) {
	v.t.Helper()
	f, err := os.OpenFile(v.filler(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	fi, err := f.Stat()
	if err != nil {
		v.t.Fatal(err)
	}
	take := v.free() - free
	switch {
	case take < 0:
		err = f.Truncate(max(0, fi.Size()+take))
	case take > 0:
		err = unix.Fallocate(int(f.Fd()), 0, fi.Size(), take)
	}
	if errors.Is(err, unix.ENOSPC) && free == 0 { // blocks that describe blocks take room too
		err = nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		v.t.Fatalf("leave %d bytes free: %v", free, err)
	}
}

// unfill gives the room back.
func (v *volume) unfill() {
	v.t.Helper()
	if err := os.Remove(v.filler()); err != nil {
		v.t.Fatal(err)
	}
}

func (v *volume) filler() string { return filepath.Join(v.dir, "filler") }

func (v *volume) free() int64 {
	v.t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(v.dir, &st); err != nil {
		v.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Frsize
}
