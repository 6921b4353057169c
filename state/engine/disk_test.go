package engine_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millstream-io/millstream/proto/fault"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine"
	"github.com/millstream-io/millstream/state/engine/enginetest"
)

// openDisk opens a store and closes it at the end of the test.
func openDisk(t testing.TB, o engine.Options) *engine.Store {
	t.Helper()
	if o.BallastBytes == 0 {
		o.BallastBytes = -1
	}
	s, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// put makes one write durable.
func put(t testing.TB, s state.LogStore, c state.Class, w state.Write) {
	t.Helper()
	done := make(chan error, 1)
	s.Append(c, w, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// entries returns n entry shapes of a size.
func entries(n, bytes int) []enginetest.Shape {
	shapes := make([]enginetest.Shape, n)
	for i := range shapes {
		shapes[i] = enginetest.Shape{Bytes: bytes, Offsets: 2, TimeMs: 1}
	}
	return shapes
}

// Goal: classes take a directory when they are first written to, and no sooner. Method: look at the
// directory.
func TestClassesAreOpenedLazily(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openDisk(t, engine.Options{Dir: dir})
	if _, _, err := s.Load(1); err != nil {
		t.Fatal(err)
	}
	l := enginetest.NewLog(1, state.ClassShort)
	put(t, s, l.Class, l.Append(1, entries(1, 10)...))
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 2 || found[0].Name() != "LOCK" || found[1].Name() != "short" {
		t.Fatalf("%v %v", found, err)
	}
}

// Goal: a second store on a directory is refused and changes nothing, and options that cannot work are
// refused at once. Method: open twice; open with bad options.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openDisk(t, engine.Options{Dir: dir})
	l := enginetest.NewLog(1, state.ClassLong)
	put(t, s, l.Class, l.Append(1, entries(1, 10)...))
	if _, err := engine.Open(engine.Options{Dir: dir}); fault.CodeOf(err) != fault.StorageError {
		t.Fatalf("a second store: %v", err)
	}
	put(t, s, l.Class, l.Append(1, entries(1, 10)...))
	for _, o := range []engine.Options{
		{}, {Dir: dir, MaxWriteBytes: 5}, {Dir: dir, MaxWriteBytes: 1 << 40}, {Dir: dir, BucketBytes: -1},
	} {
		if _, err := engine.Open(o); fault.CodeOf(err) != fault.InvalidConfig {
			t.Fatalf("%+v: %v", o, err)
		}
	}
	if err := enginetest.Check(s, l); err != nil {
		t.Fatal(err)
	}
}

// Goal: directories that cannot be trusted are refused with words that help, and nothing in them is changed.
// Method: spoil a good directory in one way each and open it.
func TestOpenRefusesSpoiledDirectories(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(class string) error
		says  string
	}{
		"newer format": {says: "format version 5, this build reads 4", spoil: func(class string) error {
			return editManifest(class, func(b []byte) { binary.BigEndian.PutUint32(b[8:], 5) })
		}},
		"older format": {says: "format version 3, this build reads 4", spoil: func(class string) error {
			return editManifest(class, func(b []byte) { binary.BigEndian.PutUint32(b[8:], 3) })
		}},
		"flipped bit": {says: "checksum", spoil: func(class string) error {
			return editManifest(class, func(b []byte) { b[25] ^= 4 })
		}},
		"lost manifest": {says: "no manifest", spoil: func(class string) error {
			return os.Remove(filepath.Join(class, "MANIFEST"))
		}},
		"lost bucket": {says: "00000001.0 of the manifest is not there", spoil: func(class string) error {
			return os.RemoveAll(filepath.Join(class, "00000001.0"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openDisk(t, engine.Options{Dir: dir})
			l := enginetest.NewLog(1, state.ClassLong)
			put(t, s, l.Class, l.Append(1, entries(1, 10)...))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(filepath.Join(dir, "long")); err != nil {
				t.Fatal(err)
			}
			_, err := engine.Open(engine.Options{Dir: dir, BallastBytes: -1})
			if fault.CodeOf(err) != fault.StorageError || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("open: %v", err)
			}
		})
	}
}

// editManifest edits both copies.
func editManifest(class string, edit func([]byte)) error {
	name := filepath.Join(class, "MANIFEST")
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	edit(b[:len(b)/2])
	edit(b[len(b)/2:])
	return os.WriteFile(name, b, 0o600)
}

// Goal: what a crash left half-made is removed: a next bucket without a manifest entry, a first bucket
// without a manifest. Method: make both by hand and open.
func TestOpenRemovesLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openDisk(t, engine.Options{Dir: dir})
	l := enginetest.NewLog(1, state.ClassLong)
	put(t, s, l.Class, l.Append(1, entries(3, 10)...))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "long", "00000002.0")
	young := filepath.Join(dir, "meta")
	manifest, err := os.ReadFile(filepath.Join(dir, "long", "MANIFEST"))
	err = errors.Join(err, os.Mkdir(left, 0o700), os.MkdirAll(filepath.Join(young, "00000001.0"), 0o700),
		os.WriteFile(filepath.Join(left, "frames"), []byte("half"), 0o600),
		os.WriteFile(filepath.Join(young, "MANIFEST.new"), manifest, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	s = openDisk(t, engine.Options{Dir: dir})
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the leftover is there: %v", err)
	}
	if err := enginetest.Check(s, l); err != nil {
		t.Fatal(err)
	}
	m := enginetest.NewLog(2, state.ClassMeta)
	put(t, s, m.Class, m.Append(1, entries(3, 10)...))
	if err := enginetest.Check(s, m); err != nil {
		t.Fatal(err)
	}
}

// Goal: an entry of 64 MB can be stored and read. Method: store one between two small ones, reopen.
func TestLargeEntry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openDisk(t, engine.Options{Dir: dir})
	l := enginetest.NewLog(1, state.ClassLong)
	put(t, s, l.Class, l.Append(1, entries(1, 10)...))
	put(t, s, l.Class, l.Append(1, entries(1, 64<<20)...))
	put(t, s, l.Class, l.Append(1, entries(1, 10)...))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Check(openDisk(t, engine.Options{Dir: dir}), l); err != nil {
		t.Fatal(err)
	}
}

// Goal: the ballast is there while there is room, is given up to start on a full disk, and comes back by
// itself. Method: an injected measure of the volume.
func TestBallast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var free atomic.Int64
	const total = 4 << 30
	free.Store(total)
	o := engine.Options{Dir: dir, BallastBytes: 1 << 20, Faults: &engine.Faults{
		Space: func() (int64, int64, error) { return free.Load(), total, nil },
	}}
	there := func() bool {
		fi, err := os.Stat(filepath.Join(dir, "BALLAST"))
		return err == nil && fi.Size() == 1<<20
	}
	s := openDisk(t, o)
	if !there() {
		t.Fatal("no ballast at first")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	free.Store(1 << 20)
	s = openDisk(t, o)
	if there() {
		t.Fatal("the ballast was kept on a full disk")
	}
	free.Store(total)
	l := enginetest.NewLog(1, state.ClassLong)
	put(t, s, l.Class, l.Append(1, entries(1, 10)...))
	if !there() {
		t.Fatal("the ballast did not come back")
	}
}

// Goal: readers and rolls do not meet: while buckets are sealed, closed and opened again, readers get what
// was written. Method: readers check a finished log without end while another one fills bucket after
// bucket.
func TestReadersOverRolls(t *testing.T) {
	t.Parallel()
	s := openDisk(t, engine.Options{Dir: t.TempDir(), BucketBytes: 512 << 10})
	l, filler := enginetest.NewLog(1, state.ClassLong), enginetest.NewLog(2, state.ClassLong)
	put(t, s, l.Class, l.Append(1, entries(20, 3000)...))
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !stop.Load() {
				if err := enginetest.Check(s, l); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for range 60 {
		put(t, s, filler.Class, filler.Append(1, entries(4, 16<<10)...))
	}
	stop.Store(true)
	wg.Wait()
	if err := enginetest.Check(s, filler); err != nil {
		t.Fatal(err)
	}
}

// Goal: a frame file that lost its end costs the entries that stood there and no others, in a sealed and in
// an active bucket. Method: cut files in half, read every entry.
func TestTruncatedFrames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := engine.Options{Dir: dir, BucketBytes: 64 << 10}
	s := openDisk(t, o)
	l := enginetest.NewLog(1, state.ClassLong)
	for range 8 {
		put(t, s, l.Class, l.Append(1, entries(2, 10<<10)...))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"00000001.0", "00000003.0"} {
		if err := os.Truncate(filepath.Join(dir, "long", b, "frames"), 45<<10); err != nil {
			t.Fatal(err)
		}
	}
	s = openDisk(t, o)
	lost := 0
	for i := l.Tail.First; i <= l.Tail.Last; i++ {
		got, err := s.Entries(l.ID, i, i+1, 1, nil)
		switch {
		case fault.CodeOf(err) == fault.CorruptRecord:
			lost++
		case err != nil || !bytes.Equal(got[0].Frame, l.Entries[i].Frame):
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if lost < 2 || lost > 8 {
		t.Fatalf("%d of %d entries are lost", lost, l.Tail.Last)
	}
}
