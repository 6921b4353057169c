package engine

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// A run of compacted entries is one row under its first index. Between that row and the last index that it
// stands for a bucket has no other row of the replica, see collides: so the row with the greatest index at or
// below one is the entry that has it.

// lookUp reads the row that has the entry of an index: its own, or that of a run that reaches it. Error:
// errNoRow where there is neither.
func lookUp(b bucket, id record.ReplicaID, index uint64, keep bool) (e state.Entry, through uint64, err error) {
	key := makeKey(id, kindEntry, index)
	if keep { // read to where it stays
		var frame []byte
		if frame, err = b.take(key); err == nil {
			if e, through, err = openEntry(frame, index, false); err == nil {
				e.Frame = frame
			}
		}
	} else {
		err = b.get(key, func(frame []byte) (err error) {
			e, through, err = openEntry(frame, index, false)
			return err
		})
	}
	if !errors.Is(err, errNoRow) {
		return e, through, err
	}
	err = b.floor(key[:keyAtIndex], key, func(key, frame []byte) error {
		run, to, err := openEntry(frame, keyIndex(key), keep)
		if err == nil && to >= index {
			e, through = run, to
		}
		return nil // whoever reads the row for its own sake is told of damage
	})
	if err == nil && through == 0 {
		err = errNoRow
	}
	return e, through, err
}

// beginning returns the key under which the entry of an index stands: its own, or that of a run that reaches
// it. Where there is neither it is the index's own.
func beginning(b bucket, id record.ReplicaID, index uint64) ([]byte, error) {
	own := makeKey(id, kindEntry, index)
	from := own
	err := b.floor(own[:keyAtIndex], own, func(key, frame []byte) error {
		if _, to, err := openEntry(frame, keyIndex(key), false); err == nil && to >= index {
			from = bytes.Clone(key)
		}
		return nil
	})
	return from, err
}

// walkBytes is how much is read in one go, while the bucket cannot be closed.
const walkBytes = scanBytes

// walk calls fn with each entry that a bucket has for the indexes [lo, hi] of a log, in order and verified;
// the first may be a run that begins below lo. It calls fn outside of the bucket, with frames that fn may
// keep, and reads in slices of background work. Errors: those of fn, fault.CorruptRecord for an entry that is damaged
// or not there, and fault.Closing.
func (h *handle) walk(s *Store, id record.ReplicaID, lo, hi uint64, fn func(e state.Entry) error) error {
	for first := true; lo <= hi; first = false {
		var es []state.Entry
		var damage error
		err := s.slice(0, func() (err error) {
			es, damage, err = h.stretch(id, lo, hi, first)
			return err
		})
		if err == nil && s.stopping() {
			err = errClosing()
		}
		if err != nil {
			return err
		}
		for _, e := range es {
			if err := fn(e); err != nil {
				return err
			}
			lo = e.Through() + 1
		}
		if damage == nil && len(es) == 0 {
			damage = errLost(id, lo)
		}
		if damage != nil {
			return damage
		}
	}
	return nil
}

// stretch reads the first entries of [lo, hi], up to the damage that it comes upon. Only the first of a walk looks for
// a run that begins below lo.
func (h *handle) stretch(id record.ReplicaID, lo, hi uint64, first bool) (es []state.Entry, damage, err error) {
	err = h.read(func(b bucket) (err error) {
		from := makeKey(id, kindEntry, lo)
		if first {
			if from, err = beginning(b, id, lo); err != nil {
				return err
			}
		}
		next, left := keyIndex(from), walkBytes
		return b.scan(from[:keyAtIndex], from, func(key, frame []byte) (bool, error) {
			i := keyIndex(key)
			if i > hi {
				return false, nil
			}
			if i != next {
				damage = errLost(id, next)
				return false, nil
			}
			e, through, err := openEntry(frame, i, true)
			if err != nil {
				damage = fmt.Errorf("entry %d of replica %d: %w", i, id, err)
				return false, nil
			}
			es, next = append(es, e), through+1
			left -= len(frame)
			return left > 0, nil
		})
	})
	return es, damage, err
}
