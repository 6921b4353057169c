package freespace

import (
	"path/filepath"
	"runtime"
	"testing"
)

// Goal: a directory's file system has room, no more than its size, and what is not there is an error. Method: ask.
func TestOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("file systems are measured on Linux only")
	}
	free, total, err := Of(t.TempDir())
	if err != nil || free <= 0 || free > total {
		t.Errorf("%d free of %d: %v", free, total, err)
	}
	if _, _, err := Of(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("what is not there has room")
	}
}
