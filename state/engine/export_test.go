package engine

import (
	"path/filepath"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Touched has f called before each change of the disk.
func (d *MemoryDisk) Touched(f func()) { d.touched = f }

// Recorded is the sequence in the sidecar of a class.
func Recorded(dir string, id state.Class) uint64 {
	c := &class{vol: &diskVolume{dir: filepath.Join(dir, id.String())}}
	n, _, _ := c.readSidecar()
	return n.sequence
}

// Sequence is the number of the newest durable group of a class.
func (s *Store) Sequence(id state.Class) uint64 { return s.classes[id].durable.Load() }

// LoseGroup makes the first bucket of a class end one group early.
func (d *MemoryDisk) LoseGroup(id state.Class) {
	b := d.classes[id].buckets["00000001.0"]
	_ = b.get(groupKey, func(v []byte) error {
		g, err := decodeGroup(v)
		g.sequence--
		b.runs[string(groupKey[:keyAtIndex])][0].value = g.encode()
		return err
	})
}

// LoseMark takes the mark of one group from the active bucket of a class.
func (d *MemoryDisk) LoseMark(id state.Class, sequence uint64) {
	for _, b := range d.classes[id].buckets {
		b.set(row{key: makeKey(classRows, kindMark, sequence)})
	}
}

// LoseEntry takes the row of an entry from all buckets.
func (d *MemoryDisk) LoseEntry(id record.ReplicaID, index uint64) {
	for _, v := range d.classes {
		for _, b := range v.buckets {
			b.set(row{key: makeKey(id, kindEntry, index)})
		}
	}
}

// ReclaimLate is Reclaim's next step, but meanwhile runs after the look at what is alive.
func (m *Memory) ReclaimLate(meanwhile func()) error {
	sv, err := m.survey()
	if err != nil {
		return err
	}
	meanwhile()
	_, err = m.gain(sv)
	return err
}
