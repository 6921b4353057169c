package dirlock

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Goal: a directory has one owner at a time, and a released one can be taken though a process that was being started
// still has the file. Method: take twice; release while a copy of the file is open, as between fork and exec.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	if !Locks {
		t.Skip("this system has no file locks")
	}
	name := filepath.Join(t.TempDir(), "LOCK")
	l, err := Take(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(name); !errors.Is(err, ErrTaken) {
		t.Fatalf("a second owner: %v", err)
	}
	copied, err := syscall.Dup(int(l.f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	held := os.NewFile(uintptr(copied), "held")
	defer held.Close()
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if l, err = Take(name); err != nil {
		t.Fatalf("after its release: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}
