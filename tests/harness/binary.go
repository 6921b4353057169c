package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

var built struct {
	once sync.Once
	path string
	out  []byte
	err  error
}

// Binary returns the path of the millstream binary, built from this checkout once per test process.
func Binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "millstream-bin-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "millstream")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/millstream")
		cmd.Dir = Root()
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		built.out, built.err = cmd.CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("build the binary: %v\n%s", built.err, built.out)
	}
	return built.path
}

// Remove deletes the binary; TestMain calls it after the tests.
func Remove() {
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
}

// Root is the top folder of the checkout.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Kcat returns the path of kcat, or skips the test with the reason.
func Kcat(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("kcat")
	if err != nil {
		t.Skip("kcat is not installed")
	}
	return path
}
