package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-io/millstream/cluster/client"
	"github.com/millstream-io/millstream/proto/record"
)

// position is where reading begins, and perhaps ends, in every partition: the option -o.
type position struct {
	kind  positionKind
	n     int64 // offset, count or milliseconds
	until int64 // for a range: first offset that is not read
}

type positionKind uint8

const (
	fromStart  positionKind = iota
	fromEnd                 // what comes from now on
	fromOffset              // n
	fromLast                // n records before the end
	fromTime                // n milliseconds since 1970
	fromRange               // [n, until)
)

// parsePosition reads start, end, OFFSET, -10, @-1h, @TIMESTAMP and N:M.
func parsePosition(text string, now time.Time) (position, error) {
	bad := func() (position, error) {
		return position{}, usage("-o %q is no position", text).
			hint("start, end, an offset, -10 (the last ten), @-1h, @2026-01-31T12:00:00Z, or 5:10 (from 5 up to 10)")
	}
	switch {
	case text == "start" || text == "beginning":
		return position{kind: fromStart}, nil
	case text == "end":
		return position{kind: fromEnd}, nil
	case strings.HasPrefix(text, "@"):
		t, ok := parseTime(text[1:], now)
		if !ok {
			return bad()
		}
		return position{kind: fromTime, n: t.UnixMilli()}, nil
	}
	if a, b, ok := strings.Cut(text, ":"); ok {
		from, err1 := strconv.ParseInt(a, 10, 64)
		until, err2 := strconv.ParseInt(b, 10, 64)
		if err1 != nil || err2 != nil || from < 0 || until < from {
			return bad()
		}
		return position{kind: fromRange, n: from, until: until}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return bad()
	case strings.HasPrefix(text, "-"):
		return position{kind: fromLast, n: -n}, nil
	}
	return position{kind: fromOffset, n: n}, nil
}

// parseTime reads -1h (before now), RFC 3339, a date, or seconds or milliseconds since 1970.
func parseTime(text string, now time.Time) (time.Time, bool) {
	if d, err := time.ParseDuration(text); err == nil && d <= 0 {
		return now.Add(d), true
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		if n < 100_000_000_000 { // the year 5138 in seconds, 1973 in milliseconds
			return time.Unix(n, 0), true
		}
		return time.UnixMilli(n), true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// span is what is read of one partition: [from, until), without end where until is negative.
type span struct{ from, until record.Offset }

// spans turns a position into offsets for every partition of the topics. With atEnd, reading stops at the end
// as it is now.
func (p position) spans(ctx context.Context, cl *client.Client, atEnd bool, topics []client.TopicMetadata) (
	map[client.TopicPartition]span, error,
) {
	held, err := extents(ctx, cl, topics...)
	if err != nil {
		return nil, err
	}
	var after map[string][]record.Offset
	if p.kind == fromTime {
		if after, err = lookUp(ctx, cl, max(p.n, 0), topics); err != nil {
			return nil, err
		}
	}
	out := make(map[client.TopicPartition]span)
	for topic, partitions := range held {
		for n, e := range partitions {
			young := e.end
			if n < len(after[topic]) && after[topic][n] >= 0 {
				young = after[topic][n]
			}
			out[client.TopicPartition{Topic: topic, Partition: record.Partition(n)}] = p.span(e, young, atEnd)
		}
	}
	return out, nil
}

// span places a position in a partition; young is its first record that is young enough.
func (p position) span(e extent, young record.Offset, atEnd bool) span {
	n, s := record.Offset(p.n), span{until: -1}
	switch p.kind {
	case fromStart:
		s.from = e.start
	case fromEnd:
		s.from = e.end
	case fromOffset:
		s.from = min(max(n, e.start), e.end)
	case fromLast:
		s.from = max(e.end-n, e.start)
	case fromTime:
		s.from = max(young, e.start)
	case fromRange:
		s.from, s.until = max(n, e.start), record.Offset(p.until)
	}
	if atEnd && (s.until < 0 || s.until > e.end) {
		s.until = e.end
	}
	return s
}
