package statetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/millstream-io/millstream/state"
)

// Model is what a database has to answer.
type Model struct {
	Rows map[string]string
	Mark []byte // nil: nothing was applied
}

// Apply does to the model what StateDB.Apply does to a database.
func (m *Model) Apply(rows []state.StateRow, mark []byte) {
	next := maps.Clone(m.Rows)
	if next == nil {
		next = map[string]string{}
	}
	for _, r := range rows {
		if r.Value == nil {
			delete(next, string(r.Key))
		} else {
			next[string(r.Key)] = string(r.Value)
		}
	}
	m.Rows, m.Mark = next, append([]byte{}, mark...)
}

// Between returns the keys lo ≤ key < hi in order; hi nil is the end.
func (m *Model) Between(lo, hi []byte) []string {
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(m.Rows)) {
		if k >= string(lo) && (hi == nil || k < string(hi)) {
			keys = append(keys, k)
		}
	}
	return keys
}

// Check compares a database with the model: mark, every row, keys beside them, and the walk in both directions.
func Check(db state.StateDB, m *Model) error {
	if mark := db.Mark(); !bytes.Equal(mark, m.Mark) || (mark == nil) != (m.Mark == nil) {
		return fmt.Errorf("mark %q, want %q", mark, m.Mark)
	}
	for key, want := range m.Rows {
		if err := checkGet(db, []byte(key), want, true); err != nil {
			return err
		}
		beside := append([]byte(key), 0)
		value, ok := m.Rows[string(beside)]
		if err := checkGet(db, beside, value, ok); err != nil {
			return err
		}
	}
	if err := CheckRange(db, m, nil, nil, false); err != nil {
		return err
	}
	return CheckRange(db, m, nil, nil, true)
}

func checkGet(db state.StateDB, key []byte, want string, there bool) error {
	got, ok, err := db.Get([]byte("before "), key)
	if err != nil {
		return fmt.Errorf("get %q: %w", key, err)
	}
	if ok != there || string(got) != "before "+want {
		return fmt.Errorf("get %q: %d bytes, %v, want %d behind what was there, %v", key, len(got), ok, len(want), there)
	}
	return nil
}

// CheckRange compares one walk with the model.
func CheckRange(db state.StateDB, m *Model, lo, hi []byte, reverse bool) error {
	want := m.Between(lo, hi)
	if reverse {
		slices.Reverse(want)
	}
	n := 0
	var wrong error
	err := db.Range(lo, hi, reverse, func(key, value []byte) bool {
		switch {
		case n >= len(want):
			wrong = fmt.Errorf("range [%q, %q): %q behind the end", lo, hi, key)
		case string(key) != want[n]:
			wrong = fmt.Errorf("range [%q, %q): %q, want %q", lo, hi, key, want[n])
		case string(value) != m.Rows[want[n]]:
			wrong = fmt.Errorf("range [%q, %q): %d bytes under %q, want %d", lo, hi, len(value), key, len(m.Rows[want[n]]))
		}
		n++
		return wrong == nil
	})
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	if n != len(want) {
		return fmt.Errorf("range [%q, %q): %d rows, want %d", lo, hi, n, len(want))
	}
	return nil
}
