package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/millstream-io/millstream/benchmarks/measure"
)

// settings say what is written and how it is read.
type settings struct {
	measure.Settings
	megabytes   int  // payload of all partitions
	filler      int  // megabytes behind it
	partitions  int  // whose entries stand among each other
	entry       int  // bytes of payload of an entry
	samples     int  // partitions that are caught up alone in a repetition
	readBytes   int  // of one read
	bucketBytes int  // 0: the store's own
	everything  bool // drop the whole page cache of the machine, not only our files
}

func main() {
	var c settings
	c.Register(flag.CommandLine)
	flag.IntVar(&c.megabytes, "mb", 1024, "megabytes of payload")
	flag.IntVar(&c.filler, "filler-mb", 320, "megabytes behind them: opening does not warm what is measured")
	flag.IntVar(&c.partitions, "partitions", 256, "partitions whose entries stand among each other")
	flag.IntVar(&c.entry, "entry", 16<<10, "bytes of an entry")
	flag.IntVar(&c.samples, "samples", 4, "partitions that are caught up alone in a repetition, each cold")
	flag.IntVar(&c.readBytes, "read-bytes", 1<<20, "bytes of one read")
	flag.IntVar(&c.bucketBytes, "bucket-bytes", 0, "size of a bucket; 0 is the store's own")
	flag.BoolVar(&c.everything, "drop-caches", os.Getuid() == 0, "drop the whole page cache, as root")
	measure.Main(func(out io.Writer) error { return run(c, out) })
}

func run(c settings, w io.Writer) error {
	restore, err := c.Prepare()
	if err != nil {
		return err
	}
	defer restore()
	if c.Quick {
		c.megabytes, c.filler, c.partitions, c.samples, c.everything = 4, 1, 8, 1, false
	}
	out := measure.NewResults(w, fmt.Sprintf("cold reads of %d MB in %d partitions, entries of %d bytes",
		c.megabytes, c.partitions, c.entry), c.Dir)
	d, err := c.write(out)
	if err != nil {
		return err
	}
	defer d.remove()
	for n := range c.Repetitions {
		if err := d.repetition(out, n); err != nil {
			return err
		}
	}
	out.Table()
	ratios(out)
	return nil
}

func ratios(out *measure.Results) {
	out.Ratio("rate_mb_s", oneName, stridedName, "≥ 2 at entries of 16 KiB")
	out.Ratio("rate_mb_s", allName, sequentialName, "≥ 0.7")
	out.Bar("disk_bytes_per_byte", oneName, "≤ 1.3")
	out.Bar("disk_bytes_per_byte", allName, "≤ 1.3")
	out.Bar("rate_mb_s", warmName, "≥ 2000")
	out.Ratio("rate_mb_s", warmName, warmRawName, "")
	out.Bar("anon_more_mb", allName, "")
	out.Bar("resident_more_mb", allName, "")
}
