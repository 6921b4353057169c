package statetest

import (
	"bytes"
	"testing"

	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/mem"
)

// broken answers wrongly in one way.
type broken struct {
	state.StateDB
	value, mark, lost, reversed bool
}

func (b broken) Get(dst, key []byte) ([]byte, bool, error) {
	v, ok, err := b.StateDB.Get(dst, key)
	if b.value && ok {
		v[len(v)-1]++
	}
	return v, ok, err
}

func (b broken) Mark() []byte {
	if b.mark {
		return []byte("another")
	}
	return b.StateDB.Mark()
}

func (b broken) Range(lo, hi []byte, reverse bool, fn func(key, value []byte) bool) error {
	return b.StateDB.Range(lo, hi, reverse != b.reversed, func(key, value []byte) bool {
		return b.lost && bytes.Equal(key, []byte("b")) || fn(key, value)
	})
}

// Goal: the checker is not blind. Method: databases that are wrong in one way each, and one that is not.
func TestCheckIsNotBlind(t *testing.T) {
	t.Parallel()
	rows := []state.StateRow{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte("2")}}
	db, m := mem.New(), &Model{}
	m.Apply(rows, []byte("mark"))
	if err := db.Apply(rows, []byte("mark")); err != nil {
		t.Fatal(err)
	}
	for i, b := range []broken{{}, {value: true}, {mark: true}, {lost: true}, {reversed: true}} {
		b.StateDB = db
		if err := Check(b, m); (err == nil) != (i == 0) {
			t.Errorf("%+v: %v", b, err)
		}
	}
	delete(m.Rows, "b")
	if Check(db, m) == nil {
		t.Error("a row too many was not noticed")
	}
}
