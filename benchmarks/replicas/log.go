package replicas

import (
	"fmt"
	"sync"
	"time"

	"github.com/millstream-io/millstream/benchmarks/measure"
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Log is the log of one replica, written by one goroutine at a time.
type Log struct {
	ID    record.ReplicaID
	Class state.Class
	Tail  state.Tail

	done chan error
}

// New returns count logs of class long, with ids from 1 on.
func New(count int) []*Log {
	logs := make([]*Log, count)
	for i := range logs {
		logs[i] = &Log{
			ID: record.ReplicaID(i + 1), Class: state.ClassLong, done: make(chan error, 1),
		}
	}
	return logs
}

// Next returns the write of one more entry with a payload of size bytes, and counts it as written.
func (l *Log) Next(size int) state.Write {
	at := l.Tail.Last + 1
	frame := make([]byte, state.FrameRoom+size)
	measure.Fill(frame[state.FrameRoom:], uint64(l.ID)<<32|at)
	e := state.Entry{
		Index: at, Term: 1, Type: state.EntryRecords, Base: record.Offset(at - 1), Last: record.Offset(at - 1),
		AppendTimeMs: int64(at), MaxTimestampMs: int64(at), Frame: frame,
	}
	e.Seal()
	l.Tail.First = max(l.Tail.First, 1)
	l.Tail.Last, l.Tail.LastTerm, l.Tail.Term, l.Tail.Commit = at, 1, 1, at-1
	return state.Write{Replica: l.ID, Tail: l.Tail, Entries: []state.Entry{e}, Sync: true}
}

// Write makes one more entry durable and returns how long that took, with the wait for its group.
func (l *Log) Write(s state.LogStore, size int) (time.Duration, error) {
	w := l.Next(size)
	begin := time.Now()
	s.Append(l.Class, w, func(err error) { l.done <- err })
	err := <-l.done
	return time.Since(begin), err
}

// Read reads the log from its beginning, at most maxBytes at a time, and returns the bytes of its payloads.
// An entry that is missing or out of turn is an error; the store has verified what is in them.
func (l *Log) Read(s state.LogStore, maxBytes int) (payload int64, err error) {
	var entries []state.Entry
	for next := l.Tail.First; next <= l.Tail.Last; {
		entries, err = s.Entries(l.ID, next, l.Tail.Last+1, maxBytes, entries[:0])
		if err != nil {
			return payload, fmt.Errorf("read replica %d from %d: %w", l.ID, next, err)
		}
		for _, e := range entries {
			if e.Index != next {
				return payload, fmt.Errorf("replica %d: entry %d in the place of %d", l.ID, e.Index, next)
			}
			next++
			payload += int64(len(e.Payload()))
		}
	}
	return payload, nil
}

// Fill writes entries entries of size bytes to each log, all logs at the same time and each with one write in
// flight. It returns how long each write took.
func Fill(s state.LogStore, logs []*Log, size, entries int) ([]time.Duration, error) {
	each := make([][]time.Duration, len(logs))
	err := All(logs, func(i int, l *Log) error {
		for range entries {
			took, err := l.Write(s, size)
			if err != nil {
				return err
			}
			each[i] = append(each[i], took)
		}
		return nil
	})
	var took []time.Duration
	for _, d := range each {
		took = append(took, d...)
	}
	return took, err
}

// All does something with every log at the same time, and waits for all. It returns the first error by
// number.
func All(logs []*Log, do func(i int, l *Log) error) error {
	errs := make([]error, len(logs))
	var all sync.WaitGroup
	for i, l := range logs {
		all.Go(func() { errs[i] = do(i, l) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
