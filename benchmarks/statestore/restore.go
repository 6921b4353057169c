package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
	"github.com/millstream-io/millstream/state/engine/statedb"
)

const (
	restoreName = "restore"
	reopenName  = "open after Close"
	killedName  = "open after a kill"
	restoreRows = 5000
)

// restoreAndOpen fills a database from changelog records, and opens it again: what a kill would leave, then what
// Close left.
func (c settings) restoreAndOpen(dir string, out *measure.Results, n int) error {
	at := filepath.Join(dir, "states")
	states, err := statedb.OpenStates(statedb.Options{Dir: at})
	if err != nil {
		return err
	}
	db, err := states.Open("app/0_0")
	if err == nil {
		err = c.restore(db, out, n)
	}
	killed := filepath.Join(dir, "killed")
	if err == nil {
		err = copyQuiet(killed, at)
	}
	if err := errors.Join(err, states.Close()); err != nil {
		return err
	}
	if err := c.open(killed, killedName, out, n); err != nil {
		return err
	}
	return c.open(at, reopenName, out, n)
}

// restore applies one record for each key, in batches, as a task does that begins with nothing.
func (c settings) restore(db state.StateDB, out *measure.Results, n int) error {
	records := make([]record.Record, c.keys)
	bytes := 0
	for i := range records {
		value := make([]byte, c.valueBytes)
		measure.Fill(value, uint64(i))
		_, k, _ := state.SplitRowKey(key(nil, uint64(i)))
		records[i] = record.Record{Offset: record.Offset(i), Key: k, Value: value}
		bytes += len(k) + len(value)
	}
	cpu, err := measure.CPU(os.Getpid())
	if err != nil {
		return err
	}
	begin := time.Now()
	rows := make([]state.StateRow, 0, restoreRows)
	var keys []byte
	for i, rec := range records {
		from := len(keys)
		keys = state.RowKey(keys, 1, rec.Key)
		rows = append(rows, state.StateRow{Key: keys[from:len(keys):len(keys)], Value: rec.Value})
		if len(rows) == restoreRows || i == len(records)-1 {
			if err := db.Apply(rows, fmt.Append(nil, i)); err != nil {
				return err
			}
			rows, keys = rows[:0], keys[:0]
		}
	}
	took := time.Since(begin).Seconds()
	used, err := measure.CPU(os.Getpid())
	out.Add(restoreName, n, map[string]float64{
		"mb_per_s": float64(bytes) / (1 << 20) / took, "records_per_s": float64(len(records)) / took,
		"cpu_us_per_record": float64((used - cpu).Microseconds()) / float64(len(records)),
	})
	return err
}

// copyQuiet copies the files once nothing changes any more.
func copyQuiet(to, from string) error {
	for {
		before, err := listing(from)
		if err != nil {
			return err
		}
		<-time.After(200 * time.Millisecond)
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		err = os.CopyFS(to, os.DirFS(from))
		after, err2 := listing(from)
		if err == nil && err2 == nil && before == after {
			return nil
		}
	}
}

func listing(dir string) (s string, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*", "rows", "*"))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			s += fmt.Sprintln(name, info.Size(), info.ModTime())
		}
	}
	return s, err
}

// open measures until the first row is read.
func (c settings) open(dir, name string, out *measure.Results, n int) error {
	begin := time.Now()
	states, err := statedb.OpenStates(statedb.Options{Dir: dir})
	if err != nil {
		return err
	}
	db, err := states.Open("app/0_0")
	if err != nil {
		return errors.Join(err, states.Close())
	}
	opened := time.Since(begin)
	_, ok, err := db.Get(nil, key(nil, uint64(c.keys/2)))
	read := time.Since(begin)
	if err == nil && (!ok || db.Mark() == nil) {
		err = errors.New("INVALID: what was restored is not there")
	}
	out.Add(name, n, map[string]float64{
		"open_ms": opened.Seconds() * 1000, "first_read_ms": read.Seconds() * 1000,
	})
	return errors.Join(err, states.Close())
}
