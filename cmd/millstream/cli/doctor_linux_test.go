package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Goal: the read-ahead of a disk is found, also through a partition of it. Method: a tree like the kernel's.
func TestReadAheadBelow(t *testing.T) {
	root := t.TempDir()
	disk := filepath.Join(root, "devices", "sda")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(disk, "queue"), 0o700), os.MkdirAll(filepath.Join(disk, "sda1"), 0o700),
		os.MkdirAll(filepath.Join(root, "devices", "nothing"), 0o700),
		os.WriteFile(filepath.Join(disk, "queue", "read_ahead_kb"), []byte("4096\n"), 0o600),
		os.Symlink(disk, filepath.Join(root, "8:0")), os.Symlink(filepath.Join(disk, "sda1"), filepath.Join(root, "8:1")),
		os.Symlink(filepath.Join(root, "devices", "nothing"), filepath.Join(root, "8:2")),
	); err != nil {
		t.Fatal(err)
	}
	for minor, want := range map[uint32]bool{0: true, 1: true, 2: false, 3: false} {
		device, kb, ok := readAheadBelow(root, 8, minor)
		if ok != want || ok && (device != "sda" || kb != 4096) {
			t.Errorf("8:%d: %q %d %v", minor, device, kb, ok)
		}
	}
}

// Goal: file systems that lose data are told apart. Method: what every Linux has.
func TestFileSystem(t *testing.T) {
	if name, risk := fileSystem("/dev/shm"); name == "tmpfs" && risk == "" {
		t.Error("a file system in memory is no risk")
	}
	if name, risk := fileSystem("/no/such/directory"); name+risk != "" {
		t.Errorf("a directory that is not there: %q %q", name, risk)
	}
}
