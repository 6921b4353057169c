package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
)

const (
	oursName = "read-modify-write/ours"
	bareName = "read-modify-write/bare Badger"
)

// database is what both subjects do.
type database interface {
	Get(dst, key []byte) ([]byte, bool, error)
	Apply(rows []state.StateRow, mark []byte) error
	Close() error
}

// picks choose the keys that are modified.
var picks = []struct {
	name string
	next func(rng *rand.Rand, keys int) func() uint64
}{
	{"uniform", func(rng *rand.Rand, keys int) func() uint64 {
		return func() uint64 { return rng.Uint64N(uint64(keys)) }
	}},
	{"zipf 1.1", func(rng *rand.Rand, keys int) func() uint64 {
		return rand.NewZipf(rng, 1.1, 1, uint64(keys-1)).Uint64
	}},
}

// modifyAll fills both subjects and modifies each with each choice of keys, one after the other.
func (c settings) modifyAll(dir string, out *measure.Results, n int) error {
	plain, err := openBare(filepath.Join(dir, "bare"))
	if err != nil {
		return err
	}
	states, err := statedb.OpenStates(statedb.Options{Dir: filepath.Join(dir, "states")})
	if err != nil {
		return errors.Join(err, plain.Close())
	}
	ours, err := states.Open("app/0_0")
	if err != nil {
		return errors.Join(err, plain.Close(), states.Close())
	}
	subjects := []struct {
		name string
		database
	}{{bareName, plain}, {oursName, ours}}
	for i := range subjects {
		s := subjects[(i+n)%2] // who is first changes
		if err = c.fill(s); err != nil {
			break
		}
	}
	for _, pick := range picks {
		for i := range subjects {
			if err != nil {
				break
			}
			s := subjects[(i+n)%2]
			var figures map[string]float64
			figures, err = c.modifyOne(s, pick.next(rand.New(rand.NewPCG(uint64(n), 1)), c.keys))
			out.Add(s.name+"/"+pick.name, n, figures)
		}
	}
	return errors.Join(err, plain.Close(), states.Close())
}

// key spreads the numbers over the whole range of keys.
func key(dst []byte, n uint64) []byte {
	return state.RowKey(dst, 1, binary.BigEndian.AppendUint64(nil, n*0x9E3779B97F4A7C15))
}

const fillRows = 5000

func (c settings) fill(db database) error {
	rows := make([]state.StateRow, 0, fillRows)
	for n := range c.keys {
		value := make([]byte, c.valueBytes)
		measure.Fill(value[8:], uint64(n))
		rows = append(rows, state.StateRow{Key: key(nil, uint64(n)), Value: value})
		if len(rows) == fillRows || n == c.keys-1 {
			if err := db.Apply(rows, nil); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return nil
}

// modifyOne adds one to the number at the beginning of values, in a dirty map that is committed again and again.
func (c settings) modifyOne(db database, next func() uint64) (map[string]float64, error) {
	dirty := map[uint64][]byte{}
	var rows []state.StateRow
	var buf []byte
	ops, gets, commits := 0, 0, 0
	var committing time.Duration
	cpu, err := measure.CPU(os.Getpid())
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	commitAt := begin.Add(c.commit)
	for {
		for range 64 {
			n := next()
			value, ok := dirty[n]
			if !ok {
				buf = key(buf[:0], n)
				v, ok, err := db.Get(make([]byte, 0, c.valueBytes), buf)
				if err != nil || !ok {
					return nil, fmt.Errorf("key %d: %v, %w", n, ok, err)
				}
				value = v
				dirty[n] = v
				gets++
			}
			binary.BigEndian.PutUint64(value, binary.BigEndian.Uint64(value)+1)
			ops++
		}
		now := time.Now()
		if now.Before(commitAt) {
			continue
		}
		for n, v := range dirty {
			rows = append(rows, state.StateRow{Key: key(nil, n), Value: v})
		}
		if err := db.Apply(rows, nil); err != nil {
			return nil, err
		}
		clear(dirty)
		clear(rows)
		rows = rows[:0]
		commits++
		after := time.Now()
		committing += after.Sub(now)
		commitAt = after.Add(c.commit)
		if took := after.Sub(begin); took >= c.modify {
			used, err := measure.CPU(os.Getpid())
			return map[string]float64{
				"ops_per_s": float64(ops) / took.Seconds(), "gets_per_op": float64(gets) / float64(ops),
				"cpu_us_per_op": float64((used - cpu).Microseconds()) / float64(ops),
				"commit_share":  committing.Seconds() / took.Seconds(), "commit_ms": committing.Seconds() * 1000 / float64(commits),
			}, err
		}
	}
}
