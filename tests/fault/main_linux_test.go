package fault

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millstream-io/millstream/tests/harness"
	"github.com/millstream-io/millstream/tests/stateful"
)

var (
	cuts  = flag.Int("cuts", 3, "how often the power is cut under load; a merge is tested with 20")
	kills = flag.Int("kills", 5, "how often the member is killed while all goes on; a merge is tested with 50")
	flips = flag.Int("flips", 60, "how many bits are flipped, one at a time")
	kind  = flag.String("flip-kind", "", "flips only in kinds of files whose name contains this")
	seed  = flag.Uint64("seed", 0, "what decides where the faults hit; 0 takes one from the clock and prints it")
)

// limit bounds the waits of one round; it is generous, because the machine may be busy.
const limit = 2 * time.Minute

// workPrefix begins the folder of a test process; its id follows.
const workPrefix = "millstream-fault-"

func TestMain(m *testing.M) {
	stateful.Child()
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1e9
	}
	if os.Getuid() == 0 {
		sweep()
	}
	code := m.Run()
	harness.Remove()
	os.Exit(code)
}

// sweep unmounts and removes what test processes left behind that are not there any more.
func sweep() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), workPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), workPrefix), "-")
		if pid, err := strconv.Atoi(owner); err == nil && unix.Kill(pid, 0) == nil {
			continue
		}
		removeWork(dir)
	}
}

// removeWork unmounts what is mounted below dir and removes it. A loop device goes with its mount.
func removeWork(dir string) {
	mounts, _ := filepath.Glob(filepath.Join(dir, "*", "mount"))
	for _, m := range mounts {
		_ = unix.Unmount(m, unix.MNT_DETACH) // not mounted: nothing to do
	}
	_ = os.RemoveAll(dir)
}

// needRoot skips where the test cannot break anything.
func needRoot(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: the faults are in processes of their own")
	}
	if os.Getuid() != 0 {
		t.Skip("not root: file systems cannot be mounted nor processes traced")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// work makes a folder that goes with the test, and with the next run where this one is killed.
func work(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", workPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeWork(dir) })
	return dir
}
