package statedb

import (
	"encoding/binary"
	"os"
	"path/filepath"
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
