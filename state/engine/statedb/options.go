package statedb

import (
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state/engine/freespace"
)

const (
	defaultMemoryBytes = 256 << 20
	leastMemoryBytes   = 8 << 20
)

// Options say where the databases live and what they may use. The zero value of every field but Dir is useful.
type Options struct {
	Dir         string       // one directory a task is made below it; nobody else may use it
	Logger      *slog.Logger // nil: nothing is logged
	MemoryBytes int64        // for all databases together: what was written last, and read caches; 0 = 256 MiB

	// Counts gives what the database of a task counts in; several tasks may be counted together. Nil counts for
	// nobody.
	Counts func(task string) *Counts

	Now    func() time.Time // nil = time.Now; for the age of what is known of free space
	Faults *Faults          // tests only
}

// Faults are the switches that tests use to break what lies below the databases. A member never sets them.
type Faults struct {
	BootID func() string                       // stands for what names this run of the machine; "" is unknown
	Space  func() (free, total int64, _ error) // stands for the volume's free and total bytes
	Commit func(n int) error                   // called before transaction n of each Apply; an error counts as the disk's
	NoSums bool                                // take rows without looking at their checksums
	Alone  bool                                // nobody looks after the databases, but for who calls Tend
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = defaultMemoryBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Counts == nil {
		o.Counts = func(string) *Counts { return &Counts{} }
	}
	f := Faults{}
	if o.Faults != nil {
		f = *o.Faults
	}
	if f.BootID == nil {
		f.BootID = bootID
	}
	if f.Space == nil {
		f.Space = func() (int64, int64, error) { return freespace.Of(o.Dir) }
	}
	if f.Commit == nil {
		f.Commit = func(int) error { return nil }
	}
	o.Faults = &f
	return o
}

func (o Options) validate() error {
	if o.Dir == "" {
		return fault.New(fault.InvalidConfig, "Dir is empty").WithHint("name the directory of the state databases")
	}
	if o.MemoryBytes != 0 && o.MemoryBytes < leastMemoryBytes {
		return fault.New(fault.InvalidConfig, "MemoryBytes is %d, below %d", o.MemoryBytes, leastMemoryBytes).
			WithHint("give the state databases of a member 8 MiB or more")
	}
	return nil
}

// bootID names this run of the machine, "" where nobody can tell.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
