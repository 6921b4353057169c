package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/millstream-io/millstream/state"
)

// MemoryDisk is what a Memory store writes to. It outlives the store as a disk outlives a process.
type MemoryDisk struct {
	mu      sync.RWMutex
	classes [state.ClassCount]*memoryVolume
	lazy    []undo // oldest first: what was put and not synced, and would be lost with the power
	touched func() // tests only: called before each change of the disk
}

// touch lets a test stop the machine before a change.
func (d *MemoryDisk) touch() {
	if d.touched != nil {
		d.touched()
	}
}

// undo takes one append back.
type undo struct {
	b    *memoryBucket
	rows []row // what stood there before; a nil value: nothing
}

// NewMemoryDisk returns an empty disk.
func NewMemoryDisk() *MemoryDisk {
	d := &MemoryDisk{}
	for i := range d.classes {
		d.classes[i] = &memoryVolume{disk: d, buckets: map[string]*memoryBucket{}}
	}
	return d
}

// Damage flips one bit in each entry frame that contains needle, and returns how many it found.
func (d *MemoryDisk) Damage(needle []byte) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, v := range d.classes {
		for _, b := range v.buckets {
			for _, run := range b.runs {
				for i := range run {
					if at := bytes.Index(run[i].value, needle); at >= 0 {
						run[i].value = slices.Clone(run[i].value)
						run[i].value[at] ^= 1
						n++
					}
				}
			}
		}
	}
	return n
}

// Bytes is the size of all rows in all buckets.
func (d *MemoryDisk) Bytes() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	n := int64(0)
	for _, v := range d.classes {
		for _, b := range v.buckets {
			n += b.bytes()
		}
	}
	return n
}

// losePower undoes the newest n appends that were never synced.
func (d *MemoryDisk) losePower(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, u := range slices.Backward(d.lazy[len(d.lazy)-n:]) {
		for _, r := range slices.Backward(u.rows) {
			u.b.set(r)
		}
	}
	d.lazy = nil
}

// memoryVolume is a class's directory in memory.
type memoryVolume struct {
	disk        *MemoryDisk
	noSync      bool
	valueBytes  int64
	buckets     map[string]*memoryBucket
	live, draft []byte // manifests
	slots       [2][]byte
}

func (v *memoryVolume) create(id bucketID) (bucket, error) {
	v.disk.touch()
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	b := &memoryBucket{v: v, runs: map[string][]memoryRow{}}
	v.buckets[id.String()] = b
	return b, nil
}

func (v *memoryVolume) open(id bucketID, _ bool) (bucket, error) {
	v.disk.mu.RLock()
	defer v.disk.mu.RUnlock()
	b := v.buckets[id.String()]
	if b == nil {
		return nil, fmt.Errorf("bucket %s of the manifest is not there", id)
	}
	return b, nil
}

func (v *memoryVolume) list() ([]string, error) {
	v.disk.mu.RLock()
	defer v.disk.mu.RUnlock()
	return slices.Sorted(maps.Keys(v.buckets)), nil
}

func (v *memoryVolume) remove(name string) error {
	v.disk.touch()
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	delete(v.buckets, name)
	return nil
}

// shrink gives nothing back: remove takes no time here.
func (v *memoryVolume) shrink(string) (bool, error) { return false, nil }

func (v *memoryVolume) size(id bucketID) (int64, error) {
	v.disk.mu.RLock()
	defer v.disk.mu.RUnlock()
	if b := v.buckets[id.String()]; b != nil {
		return b.bytes(), nil
	}
	return 0, nil
}

func (v *memoryVolume) manifest(staged bool) ([]byte, error) {
	v.disk.mu.RLock()
	defer v.disk.mu.RUnlock()
	if staged {
		return v.draft, nil
	}
	return v.live, nil
}

func (v *memoryVolume) readSlot(n int) ([]byte, error) {
	v.disk.mu.RLock()
	defer v.disk.mu.RUnlock()
	return v.slots[n], nil
}

func (v *memoryVolume) writeSlot(n int, b []byte) error {
	v.disk.touch()
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	v.slots[n] = slices.Clone(b)
	return nil
}

func (v *memoryVolume) stage(b []byte) error {
	v.disk.touch()
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	v.draft = slices.Clone(b)
	return nil
}

func (v *memoryVolume) publish() error {
	v.disk.touch()
	v.disk.mu.Lock()
	defer v.disk.mu.Unlock()
	v.live, v.draft = v.draft, nil
	return nil
}

func (v *memoryVolume) exists() (bool, error) {
	v.disk.mu.RLock()
	defer v.disk.mu.RUnlock()
	return v.live != nil, nil
}

// memoryRow is one row of a run.
type memoryRow struct {
	index uint64
	value []byte
}

// memoryBucket is a bucket in maps: one run per replica and kind, sorted by index. Logs are written in
// order, so nearly every row goes to the end of its run.
type memoryBucket struct {
	v    *memoryVolume
	runs map[string][]memoryRow
}

func (b *memoryBucket) append(rows []row) error {
	if b.v.noSync {
		return b.put(rows)
	}
	b.v.disk.touch()
	b.v.disk.mu.Lock()
	defer b.v.disk.mu.Unlock()
	for _, r := range rows {
		b.set(row{r.key, append([]byte{}, r.value...)})
	}
	b.syncLocked()
	return nil
}

func (b *memoryBucket) put(rows []row) error {
	b.v.disk.touch()
	b.v.disk.mu.Lock()
	defer b.v.disk.mu.Unlock()
	u := undo{b: b}
	for _, r := range rows {
		old := b.set(row{r.key, append([]byte{}, r.value...)})
		u.rows = append(u.rows, row{slices.Clone(r.key), old})
	}
	b.v.disk.lazy = append(b.v.disk.lazy, u)
	return nil
}

func (b *memoryBucket) sync() error {
	b.v.disk.touch()
	b.v.disk.mu.Lock()
	defer b.v.disk.mu.Unlock()
	if !b.v.noSync {
		b.syncLocked()
	}
	return nil
}

// syncLocked forgets how to take back what was put.
func (b *memoryBucket) syncLocked() {
	b.v.disk.lazy = slices.DeleteFunc(b.v.disk.lazy, func(u undo) bool { return u.b == b })
}

// set sets one row, or removes it where the value is nil, and returns what stood there.
func (b *memoryBucket) set(r row) (old []byte) {
	name := string(r.key[:keyAtIndex])
	run := b.runs[name]
	i, found := findRow(run, keyIndex(r.key))
	switch {
	case found && r.value == nil:
		old = run[i].value
		b.runs[name] = slices.Delete(run, i, i+1)
	case found:
		old, run[i].value = run[i].value, r.value
	case r.value != nil:
		b.runs[name] = slices.Insert(run, i, memoryRow{keyIndex(r.key), r.value})
	}
	return old
}

func findRow(run []memoryRow, index uint64) (int, bool) {
	return slices.BinarySearchFunc(run, index, func(r memoryRow, at uint64) int {
		return cmp.Compare(r.index, at)
	})
}

func (b *memoryBucket) most() limits { return writeLimits(b.v.valueBytes) }

func (b *memoryBucket) take(key []byte) (v []byte, err error) {
	err = b.get(key, func(stored []byte) error {
		v = append(make([]byte, 0, len(stored)), stored...)
		return nil
	})
	return v, err
}

func (b *memoryBucket) takeMany(key []byte, last uint64, most int) (values [][]byte, err error) {
	next := keyIndex(key)
	err = b.scan(key[:keyAtIndex], key, func(k, v []byte) (bool, error) {
		if keyIndex(k) != next || next > last {
			return false, nil
		}
		values, next, most = append(values, append(make([]byte, 0, len(v)), v...)), next+1, most-len(v)
		return most > 0, nil
	})
	return values, err
}

func (b *memoryBucket) lendMany(key []byte, last uint64, most int, _ *state.Loan) (
	values [][]byte, full bool, err error,
) {
	next := keyIndex(key)
	err = b.scan(key[:keyAtIndex], key, func(k, v []byte) (bool, error) {
		if keyIndex(k) != next || next > last {
			return false, nil
		}
		if full = len(values) > 0 && len(v) > most; full {
			return false, nil
		}
		values, next, most = append(values, append(make([]byte, 0, len(v)), v...)), next+1, most-len(v)
		return true, nil
	})
	return values, full, err
}

func (b *memoryBucket) get(key []byte, fn func([]byte) error) error {
	b.v.disk.mu.RLock()
	defer b.v.disk.mu.RUnlock()
	run := b.runs[string(key[:keyAtIndex])]
	i, found := findRow(run, keyIndex(key))
	if !found {
		return errNoRow
	}
	return fn(run[i].value)
}

func (b *memoryBucket) scan(prefix, from []byte, fn func(k, v []byte) (bool, error)) error {
	must(len(prefix) == keyAtIndex, "scan of a prefix of %d bytes", len(prefix))
	b.v.disk.mu.RLock()
	defer b.v.disk.mu.RUnlock()
	at := uint64(0)
	if len(from) == keySize {
		at = keyIndex(from)
	}
	run := b.runs[string(prefix)]
	i, _ := findRow(run, at)
	for _, r := range run[i:] {
		key := appendKey(nil, keyReplica(prefix), keyKind(prefix), r.index)
		if more, err := fn(key, r.value); err != nil || !more {
			return err
		}
	}
	return nil
}

func (b *memoryBucket) floor(prefix, key []byte, fn func(k, v []byte) error) error {
	b.v.disk.mu.RLock()
	defer b.v.disk.mu.RUnlock()
	run := b.runs[string(prefix)]
	i, found := findRow(run, keyIndex(key))
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	return fn(appendKey(nil, keyReplica(prefix), keyKind(prefix), run[i].index), run[i].value)
}

func (b *memoryBucket) replicas(kd kind, fn func(k, v []byte) error) error {
	b.v.disk.mu.RLock()
	defer b.v.disk.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(b.runs)) {
		id, k := keyReplica([]byte(name)), keyKind([]byte(name))
		if k != kd || id == classRows || len(b.runs[name]) == 0 {
			continue
		}
		if err := fn(makeKey(id, k, 0), b.runs[name][0].value); err != nil {
			return err
		}
	}
	return nil
}

func (b *memoryBucket) sizes(prefix, from []byte, fn func(k []byte, size int64) bool) error {
	return b.scan(prefix, from, func(k, v []byte) (bool, error) { return fn(k, int64(len(v))), nil })
}

// bytes adds keys and values up. The disk is locked.
func (b *memoryBucket) bytes() int64 {
	n := int64(0)
	for _, run := range b.runs {
		for _, r := range run {
			n += keySize + int64(len(r.value))
		}
	}
	return n
}

func (b *memoryBucket) close() error { return nil }
