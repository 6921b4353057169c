package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Names of Badger's files in a bucket.
const (
	valueLogFiles  = "*.vlog"
	writeAheadLogs = "*.mem"
	tableFiles     = "*.sst"
	valueLogHeader = 20 // key id (0: not encrypted) and an initial vector that then nobody reads
)

// removeEmptyFiles removes files that a killed process was about to fill or to remove. Badger empties a
// file before it removes it, and does not open a bucket with an empty one. Nothing is lost: an empty file
// holds nothing.
func removeEmptyFiles(dir string) error {
	for _, pattern := range []string{writeAheadLogs, valueLogFiles} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("list bucket: %w", err)
		}
		for _, name := range names {
			fi, err := os.Stat(name)
			if err != nil {
				return fmt.Errorf("look at %s: %w", name, err)
			}
			if fi.Size() > 0 {
				continue
			}
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("remove empty file: %w", err)
			}
		}
	}
	return nil
}

// unflushed reports whether the bucket was not closed by whoever wrote it: its last rows are in a
// write-ahead file.
func unflushed(dir string) (bool, error) {
	names, err := filepath.Glob(filepath.Join(dir, writeAheadLogs))
	if err != nil {
		return false, fmt.Errorf("list bucket: %w", err)
	}
	return len(names) > 0, nil
}

// addFreshValueLog makes a value-log file without entries behind the last one.
//
// When Badger opens a bucket for writing it reads its last value-log file from the beginning and cuts it
// off at the first entry that does not verify. One flipped bit would so destroy every entry behind it, up
// to a whole file of acknowledged ones. Nothing needs that cut: rows only ever lead to an entry by a
// pointer that was made durable behind it. So the last file is made to be an empty one, for which the read
// costs nothing either.
func addFreshValueLog(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, valueLogFiles))
	if err != nil || len(names) == 0 {
		return err
	}
	last := slices.Max(names)
	fi, err := os.Stat(last)
	if err != nil {
		return fmt.Errorf("look at value log: %w", err)
	}
	if fi.Size() == valueLogHeader {
		return nil
	}
	var n int
	if _, err := fmt.Sscanf(filepath.Base(last), "%06d.vlog", &n); err != nil {
		return fmt.Errorf("value log %s has no number: %w", last, err)
	}
	fresh := filepath.Join(dir, "fresh-value-log")
	if err := writeFileSync(fresh, make([]byte, valueLogHeader)); err != nil {
		return fmt.Errorf("make value log: %w", err)
	}
	if err := os.Rename(fresh, filepath.Join(dir, fmt.Sprintf("%06d.vlog", n+1))); err != nil {
		return fmt.Errorf("make value log: %w", err)
	}
	return nil
}
