package engine

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/millstream-io/millstream/proto/fault"
)

// A frame file begins with a block that has its header twice, so that no single damage hides it; then come
// groups without a gap.
const (
	frameBlock   = 4096 // what is written begins and ends at multiples of it, in memory too
	frameCopy    = frameBlock / 2
	frameHeader  = 24 // magic(8) | version(4) | CRC-32C(4) | nonce(8)
	frameVersion = 1
)

var frameMagic = [8]byte{'m', 's', 't', 'r', 'f', 'r', 'm', '\n'}

// The file takes its blocks from the volume ahead of what is written, as much as it has and no less or more
// than this.
const (
	leastAhead = 1 << 20
	mostAhead  = 8 << 20
	aheadPart  = 8 // … and no more than this part of what may still be written
)

// keptBuffer is the largest write buffer that is kept for the next group.
const keptBuffer = 4 << 20

// errNoRoom says that the volume had no room for a group, and that nothing of it was written.
var errNoRoom = fault.New(fault.DiskFull, "the data volume has no room for what is written").
	WithHint("make room on the data volume, or shorten the retention of topics; reads go on")

// frameFile is the file that a bucket's values stand in. One goroutine writes, any may read.
type frameFile struct {
	name   string
	nonce  uint64
	r      *os.File
	w      *os.File // nil: it is only read
	direct bool     // w goes past the page cache

	blocks     *os.File // r past the page cache, or r itself
	openBlocks sync.Once
	written    atomic.Int64 // up to here the file's bytes stay as they are

	end    int64  // behind the last group
	number uint64 // of the last group
	room   int64  // up to here the volume's blocks are taken
	block  []byte // what stands between the last block's beginning and end
	buf    []byte // room for the next write, aligned
	failed error  // of the first write that failed; nothing may come behind it

	allocate func(f *os.File, from, to int64) error // of the volume; tests take its place
	spare    func() int64                           // what may be written before writes are refused; nil: much
}

func encodeFrameHeader(nonce uint64) []byte {
	b := append(make([]byte, 0, frameHeader), frameMagic[:]...)
	b = binary.BigEndian.AppendUint32(b, frameVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, nonce)
	binary.BigEndian.PutUint32(b[12:], frameHeaderCRC(b))
	return b
}

// decodeFrameHeader reads one copy of a file's header. Errors: fault.CorruptRecord; fault.StorageError for
// another version.
func decodeFrameHeader(b []byte) (nonce uint64, err error) {
	if len(b) < frameHeader || [8]byte(b) != frameMagic ||
		frameHeaderCRC(b[:frameHeader]) != binary.BigEndian.Uint32(b[12:]) {
		return 0, fault.New(fault.CorruptRecord, "the header of the frame file is damaged").
			WithHint("restore the directory from a copy, or let the member rebuild from its peers")
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != frameVersion {
		return 0, fault.New(fault.StorageError, "the frame file has format version %d, this build reads %d", v,
			frameVersion).WithHint("start the build that wrote it")
	}
	return binary.BigEndian.Uint64(b[16:]), nil
}

// frameHeaderCRC covers everything but the checksum itself.
func frameHeaderCRC(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:12])
	return crc32.Update(c, castagnoli, b[16:])
}

// createFrames makes an empty frame file and opens it for writing. Its directory is yet to be synced.
func createFrames(name string) (*frameFile, error) {
	b := make([]byte, frameBlock)
	nonce := make([]byte, 8)
	_, _ = rand.Read(nonce) // never fails
	header := encodeFrameHeader(binary.BigEndian.Uint64(nonce))
	copy(b, header)
	copy(b[frameCopy:], header)
	if err := writeFileSync(name, b); err != nil {
		return nil, fmt.Errorf("make frame file: %w", err)
	}
	return openFrameFile(name, true)
}

// openFrameFile opens a frame file and knows nothing yet of its groups: end is where the first one begins.
// Errors: those of the header.
func openFrameFile(name string, writable bool) (*frameFile, error) {
	f := &frameFile{name: name, end: frameBlock, allocate: allocate}
	if err := f.open(writable); err != nil {
		return nil, errors.Join(fmt.Errorf("open frame file %s: %w", name, err), f.closeFiles())
	}
	return f, nil
}

func (f *frameFile) open(writable bool) (err error) {
	if f.r, err = os.Open(f.name); err != nil {
		return err
	}
	b := make([]byte, frameBlock)
	if _, err := f.r.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var first error
	if f.nonce, first = decodeFrameHeader(b); first != nil {
		if f.nonce, err = decodeFrameHeader(b[frameCopy:]); err != nil {
			return first
		}
	}
	readsAtRandom(f.r)
	if writable {
		f.w, f.direct, err = openFrames(f.name)
	}
	return err
}

// resume makes ready to write behind end, which is behind group number.
func (f *frameFile) resume(end int64, number uint64) error {
	fi, err := f.r.Stat()
	if err != nil {
		return fmt.Errorf("look at frame file: %w", err)
	}
	f.end, f.number, f.room = end, number, fi.Size()
	f.written.Store(end)
	f.block = make([]byte, end%frameBlock, frameBlock)
	if _, err := f.r.ReadAt(f.block, end-end%frameBlock); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read frame file: %w", err)
	}
	return nil
}

// erase writes zeros over the beginning of what stands behind the last group, so that no part of a group that
// was dropped can come back as one. It returns when they are durable. It takes no room that was not taken
// before.
func (f *frameFile) erase() error {
	before := int64(len(f.block))
	b := f.buffer(2 * frameBlock)
	n, err := f.r.ReadAt(b[before:], f.end)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read frame file: %w", err)
	}
	if !slices.ContainsFunc(b[before:before+int64(n)], func(c byte) bool { return c != 0 }) {
		return nil
	}
	copy(b, f.block)
	clear(b[before:])
	if err := f.writeAt(b[:alignUp(before+int64(n), frameBlock)], f.end-before); err != nil {
		return fmt.Errorf("erase what was not finished: %w", err)
	}
	return f.sync()
}

// cutOff gives back everything behind the last group, and makes what is left durable: groups that were dropped
// may be whole, and must not come back behind new ones.
func (f *frameFile) cutOff() error {
	end := alignUp(f.end, frameBlock)
	if err := f.w.Truncate(end); err != nil {
		return fmt.Errorf("cut off what was not durable: %w", err)
	}
	f.room = end
	if err := f.erase(); err != nil {
		return err
	}
	if err := f.w.Sync(); err != nil {
		return fmt.Errorf("sync frame file: %w", err)
	}
	return nil
}

// data returns where a file has something but a hole from a place on; io.EOF where nothing more comes.
func (f *frameFile) data(at int64) (int64, error) {
	to, err := dataFrom(f.r, at)
	return alignUp(to, groupAlign), err
}

// write puts the rows behind the last group and returns what it wrote. The group is valid until the next
// write. It is not durable before sync, and not the last group before settle. Error: errNoRoom where nothing
// was written; any other one is final.
func (f *frameFile) write(rows []row) (groupHead, []byte, error) {
	if f.failed != nil {
		return groupHead{}, nil, f.failed
	}
	h := groupHead{nonce: f.nonce, at: f.end, number: f.number + 1}
	h.front, h.length = sizeGroup(rows)
	h.rows = len(rows)
	before := int64(len(f.block))
	size := alignUp(before+h.length, frameBlock)
	if err := f.reserve(f.end - before + size); err != nil {
		return h, nil, err
	}
	b := f.buffer(size)
	copy(b, f.block)
	group := b[before : before+h.length]
	putGroup(group, h, rows)
	clear(b[before+h.length:])
	err := f.writeAt(b, f.end-before)
	switch {
	case noSpace(err):
		if err := f.erase(); err != nil {
			return h, nil, f.fail(err)
		}
		return h, nil, errNoRoom
	case err != nil:
		return h, nil, f.fail(fmt.Errorf("write %d bytes to the frame file: %w", size, err))
	}
	f.written.Store(f.end + h.length)
	return h, group, nil
}

// fail remembers the first error.
func (f *frameFile) fail(err error) error {
	f.failed = err
	return err
}

// reserve takes blocks up to the file's place to, and some more.
func (f *frameFile) reserve(to int64) error {
	if to <= f.room {
		return nil
	}
	ahead := min(max(f.end, leastAhead), mostAhead)
	if f.spare != nil {
		ahead = min(ahead, f.spare()/aheadPart) // what is left is for the writes of every class
	}
	for _, ahead := range []int64{ahead, 0} {
		room := alignUp(to+ahead, frameBlock)
		err := f.allocate(f.w, f.room, room)
		if noSpace(err) {
			continue
		}
		if err != nil {
			return f.fail(fmt.Errorf("take room for the frame file: %w", err))
		}
		f.room = room
		return nil
	}
	return errNoRoom
}

// writeAt writes b, which is aligned. A file system that takes the flag but not the write is written to
// through the page cache from then on.
func (f *frameFile) writeAt(b []byte, at int64) error {
	_, err := f.w.WriteAt(b, at)
	if !f.direct || !refusesDirect(err) {
		return err
	}
	w, err := os.OpenFile(f.name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.w.Close()
	f.w, f.direct = w, false
	if err != nil {
		return err
	}
	_, err = f.w.WriteAt(b, at)
	return err
}

// sync makes what was written durable. After an error the file takes nothing more.
func (f *frameFile) sync() error {
	if err := syncData(f.w); err != nil {
		return fmt.Errorf("sync frame file: %w", err)
	}
	return nil
}

// settle says that the next group comes behind this one, which is durable, or need not be yet.
func (f *frameFile) settle(h groupHead, group []byte) {
	end := h.at + h.length
	n := end % frameBlock // of them stand in the last block
	if have := int64(len(group)); n <= have {
		f.block = append(f.block[:0], group[have-n:]...)
	} else {
		f.block = append(f.block, group...)
	}
	f.end, f.number = end, h.number
}

// buffer returns n bytes that begin at a multiple of frameBlock.
func (f *frameFile) buffer(n int64) []byte {
	if int64(len(f.buf)) >= n {
		return f.buf[:n]
	}
	size := max(n, 64<<10)
	if size < keptBuffer {
		size = min(2*size, keptBuffer)
	}
	b := make([]byte, size+frameBlock)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % frameBlock
	b = b[skip : int64(skip)+size]
	if size <= keptBuffer {
		f.buf = b
	}
	return b[:n]
}

// read fills b from place at. Error: fault.CorruptRecord where the file ends before.
func (f *frameFile) read(b []byte, at int64) error {
	_, err := f.r.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		return fault.New(fault.CorruptRecord, "%d bytes at %d stand behind the end of %s", len(b), at, f.name)
	}
	if err != nil {
		return fmt.Errorf("read frame file: %w", err)
	}
	return nil
}

// readBlock reads what is written from place at on, as far as b reaches, and returns how much that is. Place and
// b are aligned. Any number of goroutines may call it.
func (f *frameFile) readBlock(b []byte, at int64) (int64, error) {
	f.openBlocks.Do(func() {
		var err error
		if f.blocks, err = openBlocks(f.name); err != nil {
			f.blocks = f.r
		}
	})
	want := min(f.written.Load()-at, int64(len(b)))
	n, err := f.blocks.ReadAt(b[:min(alignUp(want, frameBlock), int64(len(b)))], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read frame file: %w", err)
	}
	return min(want, int64(n)), nil
}

// trim gives back what was taken ahead, and makes what is left durable.
func (f *frameFile) trim() error {
	if err := f.w.Truncate(alignUp(f.end, frameBlock)); err != nil {
		return fmt.Errorf("trim frame file: %w", err)
	}
	if err := f.w.Sync(); err != nil {
		return fmt.Errorf("sync frame file: %w", err)
	}
	return nil
}

func (f *frameFile) closeFiles() error {
	var errs []error
	if f.blocks == f.r {
		f.blocks = nil
	}
	for _, one := range []*os.File{f.r, f.w, f.blocks} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}
