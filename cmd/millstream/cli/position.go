package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
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

// span is what is read of one partition: [from, until), without end where until is negative. there says that all
// of it has been written already; compaction may have taken the last of it.
type span struct {
	from, until int64
	there       bool
}

// spans turns a position into offsets for every partition of the topics. With atEnd, reading stops at the end
// as it is now.
func (p position) spans(ctx context.Context, ad *kadm.Client, atEnd bool, topics []string) (
	map[string]map[int32]span, error,
) {
	starts, ends, err := bounds(ctx, ad, topics...)
	if err != nil {
		return nil, err
	}
	var after kadm.ListedOffsets
	if p.kind == fromTime {
		after, err = listed(ctx, func() (kadm.ListedOffsets, error) {
			return ad.ListOffsetsAfterMilli(ctx, p.n, topics...)
		})
		if err != nil {
			return nil, err
		}
	}
	out := make(map[string]map[int32]span)
	for topic, partitions := range ends {
		out[topic] = make(map[int32]span)
		for n, e := range partitions {
			out[topic][n] = p.span(starts[topic][n].Offset, e.Offset, after[topic][n].Offset, atEnd)
		}
	}
	return out, nil
}

// span places a position in a partition that holds [start, end).
func (p position) span(start, end, after int64, atEnd bool) span {
	s := span{until: -1}
	switch p.kind {
	case fromStart:
		s.from = start
	case fromEnd:
		s.from = end
	case fromOffset:
		s.from = min(max(p.n, start), end)
	case fromLast:
		s.from = max(end-p.n, start)
	case fromTime:
		s.from = max(after, start)
	case fromRange:
		s.from, s.until = max(p.n, start), p.until
	}
	if atEnd && (s.until < 0 || s.until > end) {
		s.until = end
	}
	s.there = s.until >= 0 && s.until <= end
	return s
}
