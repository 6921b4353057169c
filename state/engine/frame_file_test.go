package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/proto/record"
)

// newFrames makes an empty frame file.
func newFrames(t *testing.T) *frameFile {
	t.Helper()
	f, err := createFrames(filepath.Join(t.TempDir(), framesName))
	if err == nil {
		err = f.resume(frameBlock, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.closeFiles() })
	return f
}

// group returns the rows of one group: small and large values, so that they fill the given number of bytes
// by and large.
func frameRows(rng *rand.Rand, bytes int) []row {
	var rows []row
	for bytes > 0 {
		n := rng.IntN(min(2*inlineBelow, bytes) + 1)
		if rng.IntN(4) == 0 {
			n = rng.IntN(bytes + 1)
		}
		v := make([]byte, n)
		for i := range v {
			v[i] = byte(rng.Uint32())
		}
		key := makeKey(record.ReplicaID(rng.IntN(3)), kind(1+rng.IntN(5)), rng.Uint64N(20))
		rows = append(rows, row{key, v})
		bytes -= n + directoryRow
	}
	return rows
}

// appendGroup writes a group as a bucket does.
func appendGroup(t *testing.T, f *frameFile, rows []row) {
	t.Helper()
	h, group, err := f.write(rows)
	if err == nil {
		err = f.sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.settle(h, group)
}

// walked opens a copy of a frame file and returns the rows of all groups that count, as text.
func walked(t *testing.T, content []byte, durable bool) (rows []string, f *frameFile) {
	t.Helper()
	name := filepath.Join(t.TempDir(), framesName)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFrameFile(name, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.closeFiles() })
	err = f.walk(func([]frameRow) standing { return standing{noted: durable} }, func(r frameRow) error {
		v := r.small
		if isLarge(r.size) {
			v = make([]byte, r.size)
			if err := f.read(v, r.at); err != nil && !durable {
				return err
			}
		}
		rows = append(rows, fmt.Sprintf("%x %x", r.key, v))
		return nil
	})
	if err == nil {
		err = f.resume(f.end, f.number)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rows, f
}

func texts(groups ...[]row) (all []string) {
	for _, g := range groups {
		for _, r := range g {
			all = append(all, fmt.Sprintf("%x %x", r.key, r.value))
		}
	}
	return all
}

func content(t *testing.T, f *frameFile) []byte {
	t.Helper()
	b, err := os.ReadFile(f.name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Goal: a last group that was torn anywhere is dropped whole, those before it stay, and what is written
// then counts. Method: cut the file at every eighth byte of the group, and take away each of its sectors, to
// zeros and to what stood there before; control: the file as it is.
func TestTornLastGroup(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	f := newFrames(t)
	a, b, c := frameRows(rng, 900), frameRows(rng, 3000), frameRows(rng, 5000)
	appendGroup(t, f, a)
	appendGroup(t, f, b)
	from, before := f.end, content(t, f)
	appendGroup(t, f, c)
	whole := content(t, f)
	if got, _ := walked(t, whole, false); !slices.Equal(got, texts(a, b, c)) {
		t.Fatal("the whole file is not what was written")
	}
	torn := func(name string, spoilt []byte) {
		t.Helper()
		got, g := walked(t, spoilt, false)
		if !slices.Equal(got, texts(a, b)) || g.end != from {
			t.Fatalf("%s: %d rows up to %d", name, len(got), g.end)
		}
		if err := g.erase(); err != nil {
			t.Fatal(err)
		}
		d := frameRows(rng, 500)
		appendGroup(t, g, d)
		if got, _ := walked(t, content(t, g), false); !slices.Equal(got, texts(a, b, d)) {
			t.Fatalf("%s: the group behind is not there", name)
		}
	}
	end := f.end - (f.end-from)%8
	for at := from; at < end-8; at += 8 * (1 + rng.Int64N(8)) {
		torn(fmt.Sprint("cut at ", at), whole[:at])
	}
	for at := from / 512 * 512; at < f.end-8; at += 512 {
		for _, old := range [][]byte{make([]byte, len(whole)), before} {
			spoilt := bytes.Clone(whole)
			copy(spoilt[max(at, from):at+512], old[max(at, from):])
			if !bytes.Equal(spoilt, whole) {
				torn(fmt.Sprint("without the sector at ", at), spoilt)
			}
		}
	}
}

// Goal: the last group stays, with its values damaged, where it is known to have been durable. Method: as
// above, with a value cut off.
func TestDurableLastGroupStays(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 1))
	f := newFrames(t)
	a := frameRows(rng, 900)
	b := []row{{makeKey(1, kindEntry, 1), bytes.Repeat([]byte{7}, 3000)}}
	appendGroup(t, f, a)
	appendGroup(t, f, b)
	spoilt := content(t, f)
	spoilt[f.end-100] ^= 1
	if got, _ := walked(t, spoilt, false); len(got) != len(a) {
		t.Fatalf("%d rows", len(got))
	}
	if got, g := walked(t, spoilt, true); len(got) != len(a)+1 || g.end != f.end {
		t.Fatalf("%d rows up to %d", len(got), g.end)
	}
}

// Goal: a group that is damaged between others costs its own rows and no others. Method: flip each bit of the
// front of a middle group; flip bits of its large values, which nobody looks at here.
func TestDamagedGroupBetween(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 1))
	f := newFrames(t)
	a, b, c := frameRows(rng, 900), frameRows(rng, 600), frameRows(rng, 9000)
	appendGroup(t, f, a)
	from := f.end
	front, _ := sizeGroup(b)
	appendGroup(t, f, b)
	appendGroup(t, f, c)
	whole := content(t, f)
	for at := from; at < from+front; at += 1 + rng.Int64N(9) {
		spoilt := bytes.Clone(whole)
		spoilt[at] ^= 1 << rng.IntN(8)
		if got, g := walked(t, spoilt, false); !slices.Equal(got, texts(a, c)) || g.number != 3 {
			t.Fatalf("byte %d: %d rows up to group %d", at-from, len(got), g.number)
		}
	}
}

// Goal: what an earlier file left on the disk, or a client sent, is not taken for a group. Method: put groups
// of another file behind the end, at the very places where they stood there; put a copy of a whole file of the
// same nonce into a value.
func TestForeignGroupsAreNotTaken(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 1))
	f, other := newFrames(t), newFrames(t)
	var written [][]row
	for range 5 {
		rows := frameRows(rng, 2000)
		appendGroup(t, other, rows)
		if f.number < 2 {
			appendGroup(t, f, rows)
			written = append(written, rows)
		}
	}
	recycled := append(content(t, f)[:f.end], content(t, other)[f.end:]...)
	if got, _ := walked(t, recycled, false); !slices.Equal(got, texts(written...)) {
		t.Fatal("groups of another file are taken")
	}
	evil := []row{{makeKey(1, kindEntry, 9), content(t, f)}}
	appendGroup(t, f, evil)
	spoilt := content(t, f)
	spoilt[f.end-int64(len(evil[0].value))-groupHeader] ^= 1 // its directory
	if got, _ := walked(t, spoilt, false); !slices.Equal(got, texts(written...)) {
		t.Fatal("groups inside a value are taken")
	}
}

// Goal: groups of any size stand behind each other, whether they are written past the page cache or through
// it, and no write disturbs what stands in its first block. Method: many groups; after each, the whole file is
// what was written so far, with zeros to the end of the block.
func TestGroupsBehindEachOther(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprint("direct ", direct), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, 1))
			f := newFrames(t)
			if !direct {
				w, err := os.OpenFile(f.name, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				f.w.Close()
				f.w, f.direct = w, false
			}
			var all [][]row
			before := content(t, f)
			for range 60 {
				rows := frameRows(rng, 1<<rng.IntN(14))
				all = append(all, rows)
				from := f.end
				appendGroup(t, f, rows)
				now := content(t, f)
				if !bytes.Equal(now[:from], before[:from]) {
					t.Fatal("an older group was disturbed")
				}
				if slices.ContainsFunc(now[f.end:], func(c byte) bool { return c != 0 }) {
					t.Fatal("something stands behind the end")
				}
				before = now
			}
			got, g := walked(t, before, false)
			if !slices.Equal(got, texts(all...)) || g.end != f.end || g.number != f.number || !bytes.Equal(g.block, f.block) {
				t.Fatalf("%d rows up to %d, not %d", len(got), g.end, f.end)
			}
		})
	}
}

// Goal: a volume without room refuses a group before anything is written, and takes it later. Method: refuse
// to take blocks; write to a device that is always full.
func TestNoRoomForGroup(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(6, 1))
	f := newFrames(t)
	a, b := frameRows(rng, 2000), frameRows(rng, 3<<20)
	appendGroup(t, f, a)
	before := content(t, f)
	f.allocate = func(*os.File, int64, int64) error { return syscall.ENOSPC }
	if _, _, err := f.write(b); err != errNoRoom {
		t.Fatalf("without blocks: %v", err)
	}
	f.allocate = allocate
	w := f.w
	var err error
	if f.w, err = os.OpenFile("/dev/full", os.O_RDWR, 0); err != nil {
		t.Skipf("there is no device that is always full: %v", err)
	}
	if _, _, err := f.write(a); err != errNoRoom {
		t.Fatalf("a full device: %v", err)
	}
	f.w.Close()
	f.w = w
	if !bytes.Equal(content(t, f), before) {
		t.Fatal("something was written")
	}
	appendGroup(t, f, b)
	if got, _ := walked(t, content(t, f), false); !slices.Equal(got, texts(a, b)) {
		t.Fatal("the group is not there")
	}
}

// Goal: a volume that is nearly full gives little ahead, and nothing in the end, so that writes of every class have
// room. Method: one group each on volumes with more and less to spare; compare what is taken.
func TestTightVolume(t *testing.T) {
	for spare, want := range map[int64]int64{1 << 40: leastAhead, 4 << 20: 512 << 10, 100: 0, 0: 0} {
		f := newFrames(t)
		took := int64(0)
		f.spare = func() int64 { return spare }
		f.allocate = func(w *os.File, from, to int64) error {
			took += to - from
			return allocate(w, from, to)
		}
		appendGroup(t, f, []row{{makeKey(1, kindTail, 0), make([]byte, 100)}})
		if took < want || took > want+2*frameBlock {
			t.Errorf("%d bytes to spare: %d bytes were taken for a group of one block", spare, took)
		}
	}
}

// Goal: where a file system does not write past the page cache, the file is written through it. Method: a
// write that no file system takes so, because it is not aligned.
func TestFallBackFromDirect(t *testing.T) {
	t.Parallel()
	f := newFrames(t)
	if !f.direct {
		t.Skip("this file system writes through its cache only")
	}
	if err := f.writeAt([]byte("not aligned"), 4099); err != nil {
		t.Fatal(err)
	}
	if got := content(t, f); string(got[4099:]) != "not aligned" {
		t.Fatalf("it became %q", got[4096:])
	}
	appendGroup(t, f, frameRows(rand.New(rand.NewPCG(7, 1)), 100))
}

// Goal: nothing is written behind a write that failed. Method: take the file away for one write.
func TestNothingBehindAFailedWrite(t *testing.T) {
	t.Parallel()
	f := newFrames(t)
	w := f.w
	f.w, _ = os.Open(f.name)
	rows := frameRows(rand.New(rand.NewPCG(8, 1)), 100)
	_, _, first := f.write(rows)
	f.w.Close()
	f.w = w
	if _, _, err := f.write(rows); first == nil || err != first {
		t.Fatalf("first %v, then %v", first, err)
	}
}

// Goal: one damaged copy of a file's header does no harm; two, and another version, are refused. Method: spoil
// them.
func TestFrameHeaderStandsTwice(t *testing.T) {
	t.Parallel()
	f := newFrames(t)
	whole := content(t, f)
	open := func(change func(b []byte)) error {
		b := bytes.Clone(whole)
		change(b)
		name := filepath.Join(t.TempDir(), framesName)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := openFrameFile(name, false)
		if err == nil {
			g.closeFiles()
		}
		return err
	}
	for name, c := range map[string]struct {
		change func(b []byte)
		want   fault.Code
	}{
		"first":  {func(b []byte) { b[17] ^= 1 }, fault.None},
		"second": {func(b []byte) { b[frameCopy+3] ^= 1 }, fault.None},
		"both":   {func(b []byte) { b[17] ^= 1; b[frameCopy+3] ^= 1 }, fault.CorruptRecord},
		"version": {func(b []byte) {
			for _, at := range []int{0, frameCopy} {
				binary.BigEndian.PutUint32(b[at+8:], frameVersion+1)
				binary.BigEndian.PutUint32(b[at+12:], frameHeaderCRC(b[at:at+frameHeader]))
			}
		}, fault.StorageError},
	} {
		if err := open(c.change); fault.CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// scanAll returns all rows of a bucket as text.
func scanAll(t *testing.T, b bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := b.scan(nil, nil, func(k, v []byte) (bool, error) {
		all[fmt.Sprintf("%x", k)] = fmt.Sprintf("%x", v)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Goal: an index that is made again is the one that was there, in a bucket that was killed, and in a closed one
// whose index is damaged. Method: many rows, of which some replace others; compare all rows.
func TestRebuiltIndexIsTheSame(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 1))
	o := bucketOptions{log: badgerLogger{log: slog.New(slog.DiscardHandler), fence: func(err error) { t.Error(err) }}, maxWrite: 1 << 30}
	dir := filepath.Join(t.TempDir(), "bucket")
	b, err := createBucket(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for range 50 {
		rows := frameRows(rng, 1<<rng.IntN(16))
		if err := b.append(rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			want[fmt.Sprintf("%x", r.key)] = fmt.Sprintf("%x", r.value)
		}
	}
	same := func(name string, b *frameBucket, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := scanAll(t, b); !maps.Equal(got, want) {
			t.Fatalf("%s: %d rows, not %d", name, len(got), len(want))
		}
		if err := b.close(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	killed := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	same("as it was written", b, nil)
	b, err = openBucket(dir, false, o)
	same("closed", b, err)
	b, err = openBucket(killed, true, o)
	same("killed", b, err)
	names, err := filepath.Glob(filepath.Join(dir, rowsName, "*.sst"))
	if err != nil || len(names) == 0 {
		t.Fatalf("tables %v: %v", names, err)
	}
	if err := os.Truncate(names[0], 100); err != nil {
		t.Fatal(err)
	}
	b, err = openBucket(dir, false, o)
	same("damaged", b, err)
	if err := os.RemoveAll(filepath.Join(dir, rowsName)); err != nil {
		t.Fatal(err)
	}
	b, err = openBucket(dir, true, o)
	same("without an index", b, err)
}

// Goal: no bytes make the decoder of groups panic or read elsewhere, and what it takes is what was put.
// Method: fuzz; the seeds are whole groups, and each input is also tried with its checksum made right.
func FuzzGroup(f *testing.F) {
	const nonce, at = 7, 4096
	encode := func(rows []row) []byte {
		h := groupHead{nonce: nonce, at: at, number: 3, rows: len(rows)}
		h.front, h.length = sizeGroup(rows)
		b := make([]byte, h.length)
		putGroup(b, h, rows)
		return b
	}
	rng := rand.New(rand.NewPCG(10, 1))
	f.Add(encode(nil))
	f.Add(encode(frameRows(rng, 100)))
	f.Add(encode(frameRows(rng, 5000)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		fix := bytes.Clone(p)
		if h, ok := readGroupHead(fix, nonce, at); ok && h.front <= int64(len(fix)) {
			binary.BigEndian.PutUint32(fix[groupAtCRC:], groupCRC(fix[:h.front]))
		}
		for _, b := range [][]byte{p, fix} {
			h, ok := readGroupHead(b, nonce, at)
			if !ok || h.front > int64(len(b)) {
				continue
			}
			var rows []row
			err := h.eachRow(b[:h.front], func(r frameRow) error {
				v := r.small
				if isLarge(r.size) {
					if r.at < at || r.at+int64(r.size) > at+h.length {
						t.Fatalf("a value at %d of %d bytes in a group of %d", r.at, r.size, h.length)
					}
					if r.at-at+int64(r.size) > int64(len(b)) {
						return errNoRow
					}
					v = b[r.at-at:][:r.size]
				}
				rows = append(rows, row{r.key, v})
				return nil
			})
			if err != nil || h.number != 3 {
				continue
			}
			again := encode(rows)
			if int64(len(again)) != h.length {
				t.Fatalf("%d bytes come back as %d", h.length, len(again))
			}
		}
	})
}
