package main

import (
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// settings say how much there is to work on, and how steady the load is.
type settings struct {
	measure.Settings
	rate        int           // records a second
	value       int           // bytes of a record
	partitions  int           // of the load
	window      time.Duration // length of what is quiet, and of the scan while it is cold
	salvage     int           // megabytes of which little is kept
	compact     int           // megabytes of which less than half is kept
	scan        int           // megabytes that are read from the disk
	bucketBytes int
	patience    time.Duration // for work to begin, and to be over
	calm        time.Duration // without a rewritten bucket: the work is over

	binary string
}

func main() {
	c := settings{patience: 2 * time.Minute, calm: 10 * time.Second}
	c.Register(flag.CommandLine)
	flag.IntVar(&c.rate, "rate", 2000, "records a second, well below what the member can take")
	flag.IntVar(&c.value, "value", 1000, "bytes of a record")
	flag.IntVar(&c.partitions, "partitions", 8, "partitions of the load")
	flag.DurationVar(&c.window, "for", 10*time.Second, "length of what is quiet, and of a cold scan")
	flag.IntVar(&c.salvage, "salvage-mb", 2048, "megabytes of which three parts of sixteen are kept")
	flag.IntVar(&c.compact, "compact-mb", 1024, "megabytes of which log compaction keeps less than half")
	flag.IntVar(&c.scan, "scan-mb", 3072, "megabytes that are read from the disk")
	flag.IntVar(&c.bucketBytes, "bucket-bytes", 64<<20, "size of the member's buckets")
	measure.Main(func(out io.Writer) error { return run(c, out) })
}

func run(c settings, w io.Writer) error {
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.rate, c.window, c.salvage, c.compact, c.scan = 500, 100*time.Millisecond, 8, 4, 2
		c.bucketBytes, c.calm = 1<<20, time.Second
	}
	remove, err := c.build()
	if err != nil {
		return err
	}
	defer remove()
	out := measure.NewResults(w, fmt.Sprintf(
		"produce latency at %d records of %d bytes a second, while the member works", c.rate, c.value), c.Dir)
	for n := range c.Repetitions {
		if err := c.repetition(out, n); err != nil {
			return err
		}
	}
	out.Table()
	for _, work := range []string{scanName, salvageName, compactName, quietAfterName} {
		bar := "≤ 1.5"
		if work == quietAfterName {
			bar = ""
		}
		for _, figure := range []string{"p50_ms", "p99_ms", "p999_ms"} {
			out.Ratio(figure, work, quietName, map[string]string{"p99_ms": bar}[figure])
		}
	}
	return nil
}
