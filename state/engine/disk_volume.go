package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millstream-io/millstream/proto/fault"
)

const (
	manifestName   = "MANIFEST"
	manifestStaged = "MANIFEST.new"
	sidecarName    = "SEQUENCE"
	sidecarStride  = 4096 // bytes from slot to slot: no page of the file has both
)

// diskVolume is the directory of one class.
type diskVolume struct {
	dir   string
	o     Options
	fence func(error)
	spare func() int64 // see frameFile

	relaxed bool // groups may be written that are not durable

	blocks *blockCache
}

func (v *diskVolume) create(id bucketID) (bucket, error) {
	if err := v.remove(id.String()); err != nil {
		return nil, err
	}
	b, err := createBucket(v.path(id), v.bucketOptions())
	if err != nil {
		return nil, err
	}
	// The entries of new files must be durable before anything in them counts.
	for _, d := range []string{v.dir, filepath.Dir(v.dir)} {
		if err := syncDir(d); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	return b, nil
}

func (v *diskVolume) open(id bucketID, writable bool) (bucket, error) {
	if _, err := os.Stat(v.path(id)); err != nil {
		return nil, fault.New(fault.StorageError, "bucket %s of the manifest is not there: %w", id, err).
			WithHint("restore the directory from a copy, or let the member rebuild from its peers")
	}
	b, err := openBucket(v.path(id), writable, v.bucketOptions())
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (v *diskVolume) bucketOptions() bucketOptions {
	return bucketOptions{log: v.logger(), noSync: v.o.Faults.NoSync, relaxed: v.relaxed, noted: v.noted(), maxWrite: v.o.MaxWriteBytes,
		spare: v.spare, blocks: v.blocks}
}

// noted is the sequence of the newest group that the sidecar knows as durable.
func (v *diskVolume) noted() uint64 {
	sequence := uint64(0)
	for i := range 2 {
		if b, err := v.readSlot(i); err == nil {
			if n, err := decodeNote(b); err == nil {
				sequence = max(sequence, n.sequence)
			}
		}
	}
	return sequence
}

func (v *diskVolume) list() ([]string, error) {
	entries, err := os.ReadDir(v.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list class directory: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (v *diskVolume) remove(name string) error {
	if err := os.RemoveAll(filepath.Join(v.dir, name)); err != nil {
		return fmt.Errorf("remove bucket %s: %w", name, err)
	}
	return nil
}

// shrinkBytes is what shrink gives back: the file system holds up who writes while it frees a large file at once.
const shrinkBytes = 4 << 20

func (v *diskVolume) shrink(name string) (more bool, err error) {
	name = filepath.Join(v.dir, name, framesName)
	fi, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && fi.Size() > 0 {
		err = os.Truncate(name, max(0, fi.Size()-shrinkBytes))
	}
	if err != nil {
		return false, fmt.Errorf("shrink bucket: %w", err)
	}
	return fi.Size() > shrinkBytes, nil
}

// size counts the files that grow with the rows; what else is in a bucket is small.
func (v *diskVolume) size(id bucketID) (int64, error) {
	n := int64(0)
	for _, pattern := range []string{framesName, filepath.Join(rowsName, "*.sst")} {
		names, err := filepath.Glob(filepath.Join(v.path(id), pattern))
		if err != nil {
			return 0, fmt.Errorf("list bucket: %w", err)
		}
		for _, name := range names {
			fi, err := os.Stat(name)
			if err != nil {
				return 0, fmt.Errorf("look at %s: %w", name, err)
			}
			n += fi.Size()
		}
	}
	return n, nil
}

func (v *diskVolume) manifest(staged bool) ([]byte, error) {
	name := manifestName
	if staged {
		name = manifestStaged
	}
	b, err := os.ReadFile(filepath.Join(v.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return b, nil
}

func (v *diskVolume) readSlot(n int) ([]byte, error) {
	f, err := os.Open(filepath.Join(v.dir, sidecarName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open sidecar: %w", err)
	}
	b := make([]byte, sidecarSize)
	k, err := f.ReadAt(b, int64(n)*sidecarStride)
	if err = errors.Join(err, f.Close()); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read sidecar: %w", err)
	}
	return b[:k], nil
}

func (v *diskVolume) writeSlot(n int, b []byte) error {
	f, err := os.OpenFile(filepath.Join(v.dir, sidecarName), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open sidecar: %w", err)
	}
	if _, err := f.WriteAt(b, int64(n)*sidecarStride); err != nil {
		return errors.Join(fmt.Errorf("write sidecar: %w", err), f.Close())
	}
	return errors.Join(syncData(f), f.Close())
}

func (v *diskVolume) stage(b []byte) error {
	if err := os.MkdirAll(v.dir, 0o750); err != nil {
		return fmt.Errorf("make class directory: %w", err)
	}
	if err := writeFileSync(filepath.Join(v.dir, manifestStaged), b); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return syncDir(v.dir)
}

func (v *diskVolume) publish() error {
	if err := os.Rename(filepath.Join(v.dir, manifestStaged), filepath.Join(v.dir, manifestName)); err != nil {
		return fmt.Errorf("replace manifest: %w", err)
	}
	return syncDir(v.dir)
}

func (v *diskVolume) exists() (bool, error) {
	_, err := os.Stat(v.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (v *diskVolume) path(id bucketID) string { return filepath.Join(v.dir, id.String()) }

func (v *diskVolume) logger() badgerLogger { return badgerLogger{log: v.o.Logger, fence: v.fence} }

func writeFileSync(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync directory %s: %w", name, err), d.Close())
	}
	return d.Close()
}
