package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// IO is how many bytes went from and to a disk.
type IO struct{ Read, Written int64 }

// Since is what went since an earlier count.
func (io IO) Since(before IO) IO { return IO{io.Read - before.Read, io.Written - before.Written} }

// ProcessIO is what the kernel charges to a process: what it had fetched from the disk, read-ahead included,
// and the pages that it made dirty. A page that is written to the disk twice is charged once: see DeviceIO.
func ProcessIO(pid int) (IO, error) {
	path := fmt.Sprintf("/proc/%d/io", pid)
	r, err1 := strconv.ParseInt(field(path, "read_bytes"), 10, 64)
	w, err2 := strconv.ParseInt(field(path, "write_bytes"), 10, 64)
	if err1 != nil || err2 != nil {
		return IO{}, fmt.Errorf("%s tells nothing: it takes a Linux that counts, and the right to look", path)
	}
	return IO{r, w}, nil
}

// DeviceIO is what the device below dir has transferred since the machine started, for everybody.
func DeviceIO(dir string) (IO, error) {
	device, err := blockDevice(dir)
	if err != nil {
		return IO{}, err
	}
	b, err := os.ReadFile(filepath.Join(device, "stat"))
	if err != nil {
		return IO{}, err
	}
	const read, written, sector = 2, 6, 512
	f := strings.Fields(string(b))
	if len(f) <= written {
		return IO{}, fmt.Errorf("stat of the device of %s has %d fields", dir, len(f))
	}
	r, err1 := strconv.ParseInt(f[read], 10, 64)
	w, err2 := strconv.ParseInt(f[written], 10, 64)
	if err1 != nil || err2 != nil {
		return IO{}, fmt.Errorf("stat of the device of %s: %q", dir, b)
	}
	return IO{r * sector, w * sector}, nil
}
