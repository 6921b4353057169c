package statedb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// Badger leaves a damaged table out, ends a walk in silence at a damaged block, or ends the process for a damaged
// footer. So every table is read and checked before Badger is let near it, by ordinary reads; and what is not a
// table is summed up when a database is closed. What Badger keeps for its value log and for encryption is
// removed: no value is ever long enough for it.

// needless reports whether a file of Badger's directory holds nothing of a database.
func needless(name string) bool {
	return strings.HasSuffix(name, ".vlog") || name == "DISCARD" || name == badger.KeyRegistryFileName ||
		name == badger.KeyRegistryRewriteFileName || name == "LOCK"
}

// removeNeedless removes what holds nothing: that, and write-ahead logs without a byte. A process that is killed between
// making a log and giving it its size leaves one, and Badger refuses to open it.
func removeNeedless(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, e := range entries {
		if needless(e.Name()) || isEmptyLog(e) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove what is not needed: %w", err)
			}
		}
	}
	return nil
}

func isEmptyLog(e fs.DirEntry) bool {
	if !strings.HasSuffix(e.Name(), ".mem") {
		return false
	}
	info, err := e.Info()
	return err == nil && info.Size() == 0
}

// sumFiles adds up the names and sizes of all files of a database that is closed, and the bytes of those that are
// no tables.
func sumFiles(dir string) (uint32, error) {
	entries, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return 0, fmt.Errorf("list %s: %w", dir, err)
	}
	sum := crc32.New(castagnoli)
	for _, e := range entries {
		if needless(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return 0, fmt.Errorf("look at %s: %w", e.Name(), err)
		}
		fmt.Fprintf(sum, "%s %d\n", e.Name(), info.Size())
		if strings.HasSuffix(e.Name(), ".sst") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", e.Name(), err)
		}
		_, _ = sum.Write(b) // a hash takes everything
	}
	return sum.Sum32(), nil
}

// checkTables reads every table that a database's manifest names and returns what is wrong with the first bad one.
func checkTables(dir string, o badger.Options) (err error) {
	defer func() {
		if p := recover(); p != nil { // the decoders trust what they read
			err = fmt.Errorf("%v", p)
		}
	}()
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, 0, o)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	for id := range m.Tables {
		if err := checkTable(table.NewFilename(id, dir)); err != nil {
			return fmt.Errorf("table %d: %w", id, err)
		}
	}
	return nil
}

// checkTable reads a table: blocks | index | index length(4) | checksum | checksum length(4).
func checkTable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	tail := func(most int64) ([]byte, error) {
		n, err := lengthBefore(f, end, most)
		if err != nil {
			return nil, err
		}
		b := make([]byte, n)
		end -= 4 + n
		_, err = f.ReadAt(b, end)
		return b, err
	}
	sum, err := tail(64)
	if err != nil {
		return fmt.Errorf("checksum: %w", err)
	}
	index, err := tail(end)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if err := checkSum(index, sum); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return checkBlocks(bufio.NewReaderSize(io.NewSectionReader(f, 0, end), 256<<10), fb.GetRootAsTableIndex(index, 0), end)
}

// lengthBefore reads the length that ends at end.
func lengthBefore(f *os.File, end, most int64) (int64, error) {
	var b [4]byte
	if _, err := f.ReadAt(b[:], end-4); err != nil {
		return 0, err
	}
	n := int64(binary.BigEndian.Uint32(b[:]))
	if n > most || n > end-4 {
		return 0, fmt.Errorf("%d bytes before %d", n, end)
	}
	return n, nil
}

// checkBlocks reads every block: entries | checksum | checksum length(4).
func checkBlocks(r io.Reader, index *fb.TableIndex, end int64) error {
	var at int64
	var buf []byte
	var o fb.BlockOffset
	for i := range index.OffsetsLength() {
		if !index.Offsets(&o, i) || int64(o.Offset()) != at || int64(o.Len()) > end-at || o.Len() < 8 {
			return fmt.Errorf("block %d is not where it has to be", i)
		}
		if cap(buf) < int(o.Len()) {
			buf = make([]byte, o.Len())
		}
		b := buf[:o.Len()]
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
		at += int64(len(b))
		n := int64(binary.BigEndian.Uint32(b[len(b)-4:]))
		if n > 64 || n > int64(len(b)-4) {
			return fmt.Errorf("block %d has a checksum of %d bytes", i, n)
		}
		sum := b[len(b)-4-int(n) : len(b)-4]
		if err := checkSum(b[:len(b)-4-int(n)], sum); err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
	}
	if at != end {
		return fmt.Errorf("blocks end at %d, not at %d", at, end)
	}
	return nil
}

func checkSum(b, sum []byte) error {
	var want pb.Checksum
	if err := proto.Unmarshal(sum, &want); err != nil {
		return err
	}
	return y.VerifyChecksum(b, &want)
}
