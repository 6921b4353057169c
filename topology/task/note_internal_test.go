package task

import (
	"testing"
	"time"
)

// FuzzNote: whatever stands beside a position gives a time or none, and what was written comes back.
func FuzzNote(f *testing.F) {
	for _, s := range []string{"", "stream-time=", "stream-time=1700000000000", "stream-time=-5", "x", "stream-time=9e9"} {
		f.Add(s, int64(len(s)))
	}
	f.Fuzz(func(t *testing.T, note string, ms int64) {
		if at := decodeNote(note); !at.IsZero() && len(note) <= len(notePrefix) {
			t.Errorf("%q gives %s", note, at)
		}
		ms %= 1 << 52
		if at := decodeNote(encodeNote(time.UnixMilli(ms))); at.UnixMilli() != ms {
			t.Errorf("%d comes back as %d", ms, at.UnixMilli())
		}
	})
}
