package statedb

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// mostNameBytes bounds the name of a directory, well below what file systems take.
const mostNameBytes = 180

const hexDigits = "0123456789ABCDEF"

// dirName is the directory of a task: its name, with every byte but letters, digits, "-", "_" and dots behind the
// first byte written as %XX. A long name is cut and ends in its hash. Two tasks never share one.
func dirName(task string) string {
	var b strings.Builder
	for i := range len(task) {
		c := task[i]
		if c == '-' || c == '_' || c == '.' && i > 0 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	name := b.String()
	if len(name) <= mostNameBytes {
		return name
	}
	sum := sha256.Sum256([]byte(task))
	return name[:mostNameBytes-2*16-1] + "~" + hex.EncodeToString(sum[:16])
}
