package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// When Badger opens a bucket for writing it reads its last value-log file from the beginning and cuts it off at the
// first entry that does not verify. One flipped bit would so destroy every entry behind it, up to a whole file of
// acknowledged ones. Nothing needs that cut: rows are only ever led to an entry by a pointer that was made durable
// behind it. So the last file is made to be an empty one, for which the read costs nothing either.

const (
	valueLogPattern = "*.vlog"
	valueLogHeader  = 20 // key id (0: not encrypted) and an initial vector that then nobody reads
)

// addFreshValueLog makes a value-log file without entries behind the last one.
func addFreshValueLog(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, valueLogPattern))
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
