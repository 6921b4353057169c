package statedb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millstream-io/millstream/proto/fault"
)

// formatVersion is that of the directory of a database and of the rows in it. Format 1 has longer pieces of long values;
// it is read, and written on in the newest one.
const (
	formatVersion      = 2
	firstFormatVersion = 1
)

// metaName is the file that says what a directory is: magic(8) | version(4) | CRC-32C of all but itself(4) |
// clean(1) | version of the state(8) | checksum of the files(4) | length(2) and boot id | length(2) and task.
// Magic, version and checksum stand there in every format.
const (
	metaName  = "META"
	metaFixed = 8 + 4 + 4 + 1 + 8 + 4
)

var metaMagic = [8]byte{'m', 's', 't', 'r', 's', 't', 'a', '\n'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// meta is what is known of a database while Badger is not open.
type meta struct {
	task string
	boot string // the machine's run in which it was opened
	// clean is set by Close, durably and last, and taken away, durably, before anything changes again.
	clean bool
	at    uint64 // with clean: the version of the last Apply
	files uint32 // with clean: sumFiles
}

func (m meta) encode() []byte {
	b := append(make([]byte, 0, metaFixed+4+len(m.boot)+len(m.task)), metaMagic[:]...)
	b = binary.BigEndian.AppendUint32(b, formatVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	clean := byte(0)
	if m.clean {
		clean = 1
	}
	b = append(b, clean)
	b = binary.BigEndian.AppendUint64(b, m.at)
	b = binary.BigEndian.AppendUint32(b, m.files)
	for _, s := range []string{m.boot, m.task} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	binary.BigEndian.PutUint32(b[12:], metaCRC(b))
	return b
}

// errFormat is met in a directory of another format.
var errFormat = errors.New("another format")

// decodeMeta verifies and reads a meta. Errors: errFormat for a sound one of another version; fault.CorruptRecord.
func decodeMeta(b []byte) (m meta, err error) {
	if len(b) < 16 || [8]byte(b) != metaMagic || binary.BigEndian.Uint32(b[12:]) != metaCRC(b) {
		return meta{}, fault.New(fault.CorruptRecord, "the file %s of a state database is damaged", metaName)
	}
	if v := binary.BigEndian.Uint32(b[8:]); v < firstFormatVersion || v > formatVersion {
		return meta{}, fmt.Errorf("version %d, this build reads %d: %w", v, formatVersion, errFormat)
	}
	if len(b) < metaFixed {
		return meta{}, fault.New(fault.CorruptRecord, "the file %s of a state database is short", metaName)
	}
	m.clean = b[16] == 1
	m.at = binary.BigEndian.Uint64(b[17:])
	m.files = binary.BigEndian.Uint32(b[25:])
	b = b[metaFixed:]
	for _, s := range []*string{&m.boot, &m.task} {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return meta{}, fault.New(fault.CorruptRecord, "the file %s of a state database is short", metaName)
		}
		n := int(binary.BigEndian.Uint16(b))
		*s, b = string(b[2:2+n]), b[2+n:]
	}
	return m, nil
}

// metaCRC covers everything but the checksum itself.
func metaCRC(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:12])
	return crc32.Update(c, castagnoli, b[16:])
}

// readMeta reads that of a directory; there is false where it has none.
func readMeta(dir string) (m meta, there bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, metaName))
	if errors.Is(err, fs.ErrNotExist) {
		return meta{}, false, nil
	}
	if err != nil {
		return meta{}, false, fault.New(fault.StorageError, "read a state database: %w", err)
	}
	m, err = decodeMeta(b)
	return m, true, err
}

// writeMeta replaces that of a directory, durably.
func writeMeta(dir string, m meta) error {
	staged := filepath.Join(dir, metaName+".new")
	if err := writeFileSync(staged, m.encode()); err != nil {
		return fmt.Errorf("write %s: %w", metaName, err)
	}
	if err := os.Rename(staged, filepath.Join(dir, metaName)); err != nil {
		return fmt.Errorf("replace %s: %w", metaName, err)
	}
	return syncDir(dir)
}

func writeFileSync(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
