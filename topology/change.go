package topology

import (
	"encoding/binary"

	"github.com/millstream-io/millstream/proto/fault"
)

// change is one change of a table: the row of a key before and after it. Old is there only where somebody
// behind asked for it (see table.wantOld); a row that is not there is the zero value.
type change[K, V any] struct {
	Key            K
	New, Old       V
	HasNew, HasOld bool
	Meta
}

// tableFlow takes changes of one table. The change belongs to the caller, is read-only, and is valid until
// tableFlow returns.
type tableFlow[K, V any] = func(c *change[K, V]) error

// regroup is a change on its way to the groups of its rows.
type regroup[K, V any] struct {
	oldKey, newKey     K
	oldValue, newValue V
	hasOld, hasNew     bool
	meta               Meta
}

// Which rows a change holds, as its last byte. The layout is that of Kafka Streams' changes with two rows:
//
//	[row][changeOld | changeNew]
//	[length of new row, 4 bytes][new row][old row][changeBoth]
const (
	changeOld = iota
	changeNew
	changeBoth
)

// lengthSize is the size of the length in a change with two rows, in bytes.
const lengthSize = 4

// appendChange appends a change with the rows that are not nil; one of them is not.
func appendChange(dst, newRow, oldRow []byte) []byte {
	switch {
	case oldRow == nil:
		return append(append(dst, newRow...), changeNew)
	case newRow == nil:
		return append(append(dst, oldRow...), changeOld)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(newRow)))
	return append(append(append(dst, newRow...), oldRow...), changeBoth)
}

// splitChange cuts a change into its rows; nil: not there. They alias b.
func splitChange(b []byte) (newRow, oldRow []byte, err error) {
	if len(b) == 0 {
		return nil, nil, fault.New(fault.InvalidRecord, "change of a table is empty")
	}
	rows := b[: len(b)-1 : len(b)-1]
	switch b[len(b)-1] {
	case changeOld:
		return nil, rows, nil
	case changeNew:
		return rows, nil, nil
	case changeBoth:
		if len(rows) >= lengthSize {
			n, rest := uint64(binary.BigEndian.Uint32(rows)), rows[lengthSize:]
			if n <= uint64(len(rest)) {
				return rest[:n:n], rest[n:], nil
			}
		}
		return nil, nil, fault.New(fault.InvalidRecord, "change of a table ends within its new row")
	}
	return nil, nil, fault.New(fault.InvalidRecord, "change of a table has rows of kind %d", b[len(b)-1])
}
