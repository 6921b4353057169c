package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"

	"github.com/millstream-io/millstream/proto/fault"
)

// checkTables verifies the tables of a bucket before Badger sees them: it panics on some damaged ones, in
// goroutines of its own, and takes others for smaller than they are. It reads them whole; they hold keys and
// small values only. Files that Badger's list does not name are left alone: a flush that was cut short, by a
// kill or a full disk, leaves them behind, its rows are in the write-ahead file still, and Badger removes
// them. Error: fault.CorruptRecord, which names the table.
func checkTables(dir string, o Options) error {
	listed, err := listedTables(dir, o)
	if err != nil {
		return fault.New(fault.CorruptRecord, "the list of tables of bucket %s is damaged: %w", dir, err).
			WithHint("restore the directory from a copy, or let the member rebuild from its peers")
	}
	for id := range listed {
		name := filepath.Join(dir, fmt.Sprintf("%06d.sst", id))
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read table: %w", err)
		}
		if err := checkTable(b); err != nil {
			return fault.New(fault.CorruptRecord, "table %s is damaged: %w", name, err).
				WithHint("restore the directory from a copy, or let the member rebuild from its peers")
		}
	}
	return nil
}

// listedTables returns the tables that Badger's own list names.
func listedTables(dir string, o Options) (map[uint64]badger.TableManifest, error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, 0, badgerOptions(dir, o, nil))
	return m.Tables, err
}

var errShortTable = errors.New("a length in it goes beyond it")

// checkTable verifies the index of a table and each block that the index names: together all of the file.
//
//	block … block | index | index length | checksum | checksum length
func checkTable(b []byte) (err error) {
	defer func() { // the index is only walked when its checksum was right; it may still be of another format
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be read: %v", r)
		}
	}()
	rest, sum, err := cutChecksum(b)
	if err != nil {
		return err
	}
	rest, n, err := cutLength(rest)
	if err != nil || n > len(rest) {
		return errors.Join(err, errShortTable)
	}
	blocks, index := rest[:len(rest)-n], rest[len(rest)-n:]
	if err := y.VerifyChecksum(index, sum); err != nil {
		return fmt.Errorf("its index: %w", err)
	}
	t := fb.GetRootAsTableIndex(index, 0)
	end := 0
	for i := range t.OffsetsLength() {
		var at fb.BlockOffset
		if !t.Offsets(&at, i) {
			return errShortTable
		}
		from := int(at.Offset())
		if from != end || from+int(at.Len()) > len(blocks) {
			return errShortTable
		}
		end = from + int(at.Len())
		rows, sum, err := cutChecksum(blocks[from:end])
		if err == nil {
			err = y.VerifyChecksum(rows, sum)
		}
		if err != nil {
			return fmt.Errorf("its block %d: %w", i, err)
		}
	}
	if end != len(blocks) {
		return errShortTable
	}
	return nil
}

// cutLength takes a length off the end.
func cutLength(b []byte) (rest []byte, n int, err error) {
	if len(b) < 4 {
		return nil, 0, errShortTable
	}
	at := len(b) - 4
	return b[:at], int(binary.BigEndian.Uint32(b[at:])), nil
}

// cutChecksum takes a checksum and its length off the end.
func cutChecksum(b []byte) (rest []byte, sum *pb.Checksum, err error) {
	rest, n, err := cutLength(b)
	if err != nil || n > len(rest) {
		return nil, nil, errors.Join(err, errShortTable)
	}
	at := len(rest) - n
	sum = &pb.Checksum{}
	if err := proto.Unmarshal(rest[at:], sum); err != nil {
		return nil, nil, fmt.Errorf("read checksum: %w", err)
	}
	return rest[:at], sum, nil
}
