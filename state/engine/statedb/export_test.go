package statedb

import (
	"encoding/binary"
	"os"
	"path/filepath"

	"github.com/millstream-io/millstream/state"
)

// Dir is where the databases are.
func (s *States) Dir() string { return s.o.Dir }

// ForgetSpace has the volume asked again.
func (s *States) ForgetSpace() {
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	s.space.known = false
}

// OtherFormat makes a database one of the next format.
func OtherFormat(dir string) error {
	name := filepath.Join(dir, metaName)
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(b[8:], formatVersion+1)
	binary.BigEndian.PutUint32(b[12:], metaCRC(b))
	return os.WriteFile(name, b, 0o600)
}

// Tend looks after the databases once.
func (s *States) Tend() { s.tend() }

// RestAll lets every database rest that nobody is inside of, whenever it was used.
func (s *States) RestAll() {
	for _, d := range s.databases() {
		if d.gate.Enter() {
			d.use.touched.Store(false)
			d.rest()
			d.gate.Leave()
		}
	}
}

// ResizeAll gives every database that is in use another memtable.
func (s *States) ResizeAll(memory int64) {
	for _, d := range s.databases() {
		if d.gate.Enter() {
			d.resize(memory)
			d.gate.Leave()
		}
	}
}

// ApplyFirstFormat writes a long value as format 1 had it.
func ApplyFirstFormat(db state.StateDB, key, value, mark []byte) error {
	d := db.(*DB)
	if err := d.acquire(); err != nil {
		return err
	}
	defer d.release()
	version, _ := d.versions.state()
	version++
	b := &d.batch
	b.begin(d, version, 1)
	for n := range pieces(len(value), firstPieceBytes) {
		at := pieceKey(nil, key, n)
		piece := value[n*firstPieceBytes : min((n+1)*firstPieceBytes, len(value))]
		if err := b.add(at, seal(nil, longRow, at, piece), 0); err != nil {
			return err
		}
	}
	old := longHead(value)[:headBytes-4]
	if err := b.add(rowKey(nil, key), seal(nil, longRow, key, old), longRow); err != nil {
		return err
	}
	if err := b.end(mark); err != nil {
		return err
	}
	d.long.Store(true)
	d.versions.publish(version, nil, mark)
	return nil
}
