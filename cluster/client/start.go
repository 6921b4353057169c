package client

import (
	"fmt"
	"time"

	"github.com/millstream-io/millstream/proto/record"
)

// Start says where reading a partition begins.
type Start struct {
	kind startKind
	n    int64
}

type startKind uint8

const (
	startNone startKind = iota
	startEarliest
	startLatest
	startOffset
	startLast
	startTime
)

// FromEarliest begins at the first record that is there.
func FromEarliest() Start { return Start{kind: startEarliest} }

// FromLatest begins behind the last record that is there.
func FromLatest() Start { return Start{kind: startLatest} }

// FromOffset begins at offset o. Where o is outside the log, Poll says so.
func FromOffset(o record.Offset) Start { return Start{startOffset, int64(o)} }

// FromLast begins n offsets before the end of each partition, or at its first record where there are fewer.
func FromLast(n int64) Start { return Start{startLast, max(n, 0)} }

// FromTime begins at the first record that is not older than t, else behind the last.
func FromTime(t time.Time) Start { return Start{startTime, max(t.UnixMilli(), 0)} }

// String describes the start as the command line writes it.
func (s Start) String() string {
	switch s.kind {
	case startEarliest:
		return "start"
	case startLatest:
		return "end"
	case startOffset:
		return fmt.Sprint(s.n)
	case startLast:
		return fmt.Sprint(-s.n)
	case startTime:
		return "@" + time.UnixMilli(s.n).UTC().Format(time.RFC3339Nano)
	}
	return "none"
}

// queries are what has to be asked to resolve the start of one partition.
func (s Start) queries(topic string, p record.Partition) []OffsetQuery {
	ask := func(ms int64) OffsetQuery { return OffsetQuery{Topic: topic, Partition: p, TimestampMs: ms} }
	switch s.kind {
	case startEarliest:
		return []OffsetQuery{ask(TimestampEarliest)}
	case startLatest:
		return []OffsetQuery{ask(TimestampLatest)}
	case startLast:
		return []OffsetQuery{ask(TimestampLatest), ask(TimestampEarliest)}
	case startTime:
		// latest first: a record that comes in between is then found by its time, not missed
		return []OffsetQuery{ask(TimestampLatest), ask(s.n)}
	}
	return nil
}

// resolve turns the answers to queries into an offset.
func (s Start) resolve(a []OffsetAnswer) (record.Offset, error) {
	for i := range a {
		if a[i].Err != nil {
			return -1, a[i].Err
		}
	}
	switch s.kind {
	case startLast:
		return max(a[0].Offset-record.Offset(s.n), a[1].Offset), nil
	case startTime:
		if a[1].Offset < 0 {
			return a[0].Offset, nil
		}
		return a[1].Offset, nil
	case startOffset:
		return record.Offset(s.n), nil
	}
	return a[0].Offset, nil
}
