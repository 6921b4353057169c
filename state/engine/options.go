package engine

import (
	"errors"
	"log/slog"
	"time"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
)

// Limits of one group.
const (
	groupValueBytes  = 1 << 20
	groupInlineBytes = 3 << 19 // 1.5 MB
	groupRows        = 20_000
)

// Limits of one write, which goes alone where it is larger than a group.
const (
	mostInlineBytes = 9 << 18 // 2.25 MB
	mostRows        = 26_000
)

const (
	defaultBucketBytes   = 1 << 30
	defaultBucketAge     = 24 * time.Hour
	defaultMaxWriteBytes = 128 << 20
	leastMaxWriteBytes   = 1 << 20
	mostMaxWriteBytes    = 1 << 30
	defaultBallastBytes  = 64 << 20
	memTableBytes        = 8 << 20
	memTables            = 2
	inlineBelow          = 512 // values shorter than this live in the index too, others in the frame file alone
	hintEvery            = 256 << 10
	defaultDeadAfter     = 10 * time.Minute
	defaultSalvageBelow  = 0.25
	defaultSalvageRate   = 100 << 20
)

// Options says where a store lives and how large its parts grow. The zero value of every field but Dir is
// useful.
type Options struct {
	Dir    string       // one directory per class is made below it
	Logger *slog.Logger // nil: nothing is logged

	BucketBytes   int64         // a bucket is closed and the next begun at this size; 0 = 1 GiB
	BucketAge     time.Duration // … or at this age, with the next write; 0 = 24 h
	MaxWriteBytes int64         // of the entries of one write, which is held in memory twice; 0 = 128 MiB
	ReadCache     int64         // bytes of memory for readers that go through old entries in order; 0 = 64 MiB, <0 = none
	BallastBytes  int64         // kept to be able to start on a full disk; 0 = 64 MiB or 2 %, <0 = none

	DeadAfter    time.Duration // a replica out of the live set this long is dead; 0 = 10 min, <0 = at once
	SalvageBelow float64       // a bucket with a smaller part of its bytes alive is rewritten; 0 = 0.25, <0 = none is
	SalvageRate  int64         // bytes/s that rewriting may copy; 0 = 100 MiB/s

	Now      func() time.Time // nil = time.Now; for the age of buckets, dead replicas, free space, groups
	OnFence  func(error)      // called once, on a goroutine of its own, by the first storage error
	Observer Observer         // is told what the store gives back; nil = nobody
	Faults   *Faults          // tests only
}

// Faults are the switches that tests use to break what lies below the store. A member never sets them.
type Faults struct {
	NoSync bool                                // acknowledge before anything is durable
	Commit func(c state.Class) error           // called before each group; an error counts as one of the disk
	Space  func() (free, total int64, _ error) // stands for the volume's free and total bytes
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxWriteBytes == 0 {
		o.MaxWriteBytes = defaultMaxWriteBytes
	}
	if o.ReadCache == 0 {
		o.ReadCache = defaultReadCache
	}
	if o.BucketBytes == 0 {
		o.BucketBytes = defaultBucketBytes
	}
	if o.BucketAge == 0 {
		o.BucketAge = defaultBucketAge
	}
	if o.DeadAfter == 0 {
		o.DeadAfter = defaultDeadAfter
	}
	if o.SalvageBelow == 0 {
		o.SalvageBelow = defaultSalvageBelow
	}
	if o.SalvageRate == 0 {
		o.SalvageRate = defaultSalvageRate
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Faults == nil {
		o.Faults = &Faults{}
	}
	return o
}

// validate reports every field that cannot be used.
func (o Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fault.New(fault.InvalidConfig, format, args...))
	}
	if o.Dir == "" {
		bad("Dir is empty")
	}
	if n := o.MaxWriteBytes; n != 0 && (n < leastMaxWriteBytes || n > mostMaxWriteBytes) {
		bad("MaxWriteBytes is %d, not from 1 MiB to 1 GiB", n)
	}
	if o.BucketBytes < 0 || o.BucketAge < 0 {
		bad("BucketBytes %d or BucketAge %s is negative", o.BucketBytes, o.BucketAge)
	}
	if o.SalvageBelow > 1 || o.SalvageRate < 0 {
		bad("SalvageBelow %v is above 1 or SalvageRate %d is negative", o.SalvageBelow, o.SalvageRate)
	}
	return errors.Join(errs...)
}

// sized fills what depends on the size of the volume, total bytes (0 where it is unknown).
func (o Options) sized(total int64) Options {
	if o.BallastBytes == 0 {
		o.BallastBytes = defaultBallastBytes
		if total > 0 {
			o.BallastBytes = min(total/50, defaultBallastBytes)
		}
	}
	return o
}
