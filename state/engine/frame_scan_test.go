package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// scanRows are rows of two logs, small and large, that touch or stand near each other or far apart.
func scanRows(log record.ReplicaID) (rows []row) {
	sizes := []int{10, inlineBelow, 700, scanGap, 600, scanBytes, 600, 600, 3*scanBytes + 5, 20, 5000, 5000, 90_000}
	for i, n := range sizes {
		value := bytes.Repeat([]byte{byte(i + 1), byte(log)}, n/2+1)[:n]
		rows = append(rows, row{makeKey(log, kindEntry, uint64(i+1)), value})
	}
	return rows
}

// Goal: a scan calls with every row, in order and as it was written, from where it is asked to and until it is told
// to stop. Method: two logs, row by row in groups of their own or in turns; what comes is compared with what was put.
// Then the file is cut: the rows before the first one that is not whole come, and damage is told.
func TestScanReadsEveryRow(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone=%t", alone), func(t *testing.T) {
			logger := badgerLogger{log: slog.New(slog.DiscardHandler), fence: func(err error) { t.Error(err) }}
			dir := filepath.Join(t.TempDir(), "1.0")
			b, err := createBucket(dir, bucketOptions{log: logger, noSync: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := b.close(); err != nil {
					t.Error(err)
				}
			}()
			rows, others := scanRows(1), scanRows(2)
			for i := range rows {
				group := rows[i : i+1 : i+1]
				if !alone {
					group = append(group, others[i])
				}
				if err := b.append(group); err != nil {
					t.Fatal(err)
				}
			}
			for from := range rows {
				for _, most := range []int{1, 3, len(rows)} {
					checkScan(t, b, rows[from:min(len(rows), from+most)])
				}
			}
			// Some rows at the end are missing, or not whole.
			cut := int64(0)
			for _, r := range rows[9:] {
				cut += int64(len(r.value))
			}
			if err := os.Truncate(filepath.Join(dir, framesName), b.frames.end-cut); err != nil {
				t.Fatal(err)
			}
			seen := 0
			err = b.scan(rows[0].key[:keyAtIndex], rows[0].key, func(_, v []byte) (bool, error) {
				if !bytes.Equal(v, rows[seen].value) {
					t.Errorf("row %d is another one", seen)
				}
				seen++
				return true, nil
			})
			if fault.CodeOf(err) != fault.CorruptRecord || seen == 0 || seen >= len(rows) {
				t.Errorf("%d of %d rows of a file that was cut, %v", seen, len(rows), err)
			}
		})
	}
}

// checkScan compares what comes from the first of the rows on, as many as there are, with them.
func checkScan(t *testing.T, b *frameBucket, rows []row) {
	t.Helper()
	seen := 0
	err := b.scan(rows[0].key[:keyAtIndex], rows[0].key, func(k, v []byte) (bool, error) {
		if !bytes.Equal(k, rows[seen].key) || !bytes.Equal(v, rows[seen].value) {
			t.Fatalf("row %d is key %x and %d bytes", seen, k, len(v))
		}
		seen++
		return seen < len(rows), nil
	})
	if seen != len(rows) || err != nil {
		t.Fatalf("%d of %d rows, %v", seen, len(rows), err)
	}
}

// Goal: a bucket that is given up is made smaller piece by piece to nothing, and one that is gone is no error.
// Method: files of several sizes; count the pieces.
func TestShrink(t *testing.T) {
	t.Parallel()
	v := &diskVolume{dir: t.TempDir()}
	for size, want := range map[int64]int{0: 1, 1: 1, shrinkBytes: 1, shrinkBytes + 1: 2, 3 * shrinkBytes: 3} {
		name := fmt.Sprint(size)
		file := filepath.Join(v.dir, name, framesName)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
		pieces, more := 0, true
		for ; more && pieces < 10; pieces++ {
			var err error
			if more, err = v.shrink(name); err != nil {
				t.Fatal(err)
			}
		}
		fi, err := os.Stat(file)
		if err != nil || fi.Size() != 0 || pieces != want {
			t.Errorf("%d bytes: %d pieces, not %d; %v", size, pieces, want, err)
		}
	}
	if more, err := v.shrink("none"); more || err != nil {
		t.Errorf("one that is not there: %t, %v", more, err)
	}
}

// Goal: a reader asks for less in front of it while somebody writes. Method: caches that know of writers, of none,
// and one that asks nobody.
func TestFewBlocksBesideWriters(t *testing.T) {
	t.Parallel()
	c := newBlockCache(defaultReadCache, func(f func()) { f() })
	defer c.close()
	for _, busy := range []bool{true, false} {
		c.busy = func() bool { return busy }
		if got, want := c.ahead(), map[bool]int64{true: fewAhead, false: blocksAhead}[busy]; got != want {
			t.Errorf("busy=%t: %d blocks, not %d", busy, got, want)
		}
	}
	if got := (*blockCache)(nil).ahead(); got != blocksAhead {
		t.Errorf("no cache: %d blocks", got)
	}
}
