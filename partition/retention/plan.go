package retention

import (
	"time"

	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Policy is what a topic keeps: records that were appended less than Ms milliseconds ago, and the newest
// Bytes bytes. Values below 1 keep all.
type Policy struct{ Ms, Bytes int64 }

// Limited reports whether the policy ever lets anything go.
func (p Policy) Limited() bool { return p.Ms > 0 || p.Bytes > 0 }

// Log is a log as a policy sees it. Spans are in order and may begin below Start; End is the first offset
// that must stay whatever the policy says. AppendTimeMs is when its newest entry was appended.
type Log struct {
	Spans        []state.Span
	Start, End   record.Offset
	AppendTimeMs int64
}

// Plan returns the log start that the policy asks for at nowMs. Time is that of the appends, which is the
// leaders' clocks: nowMs must be the clock of the leader.
func (p Policy) Plan(nowMs int64, l Log) record.Offset {
	if p.old(nowMs, l.AppendTimeMs) && len(l.Spans) > 0 {
		return max(l.Start, l.End)
	}
	spans := l.rest()
	size := int64(0)
	for _, s := range spans {
		size += s.Bytes
	}
	start := l.Start
	for i := 0; i < len(spans)-1 && spans[i].Sealed; i++ {
		size -= spans[i].Bytes
		if !p.old(nowMs, spans[i].AppendTimeMs) && (p.Bytes < 1 || size < p.Bytes) {
			break
		}
		start = spans[i+1].Base
	}
	return max(l.Start, min(start, l.End))
}

// Idle returns for how long after nowMs nothing can become too old or too much, whatever is appended
// meanwhile. It is not positive where that can't be told.
func (p Policy) Idle(nowMs int64, l Log) time.Duration {
	oldest := nowMs // of what is not there yet
	if spans := l.rest(); len(spans) > 0 {
		oldest = spans[0].AppendTimeMs // as of now: later appends to the same span make it younger
	}
	if p.Ms < 1 || p.Bytes > 0 {
		return 0
	}
	return time.Duration(min(p.Ms-max(0, nowMs-oldest), int64(maxIdle/time.Millisecond))) * time.Millisecond
}

// maxIdle keeps a retention of centuries from overflowing a Duration.
const maxIdle = 24 * time.Hour

// rest is the spans without those that are given up already, though they may still be there.
func (l Log) rest() []state.Span {
	spans := l.Spans
	for len(spans) > 1 && spans[1].Base <= l.Start {
		spans = spans[1:]
	}
	return spans
}

func (p Policy) old(nowMs, appendMs int64) bool { return p.Ms > 0 && nowMs-appendMs > p.Ms }
