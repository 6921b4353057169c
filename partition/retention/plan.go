package retention

import (
	"github.com/millstream-io/millstream/proto/record"
	"github.com/millstream-io/millstream/state"
)

// Policy is what a topic keeps: records that were appended less than Ms milliseconds ago, and the newest Bytes bytes.
// Values below 1 keep all.
type Policy struct{ Ms, Bytes int64 }

// Limited reports whether the policy ever lets anything go.
func (p Policy) Limited() bool { return p.Ms > 0 || p.Bytes > 0 }

// Log is a log as a policy sees it. Spans are in order and may begin below Start; End is the first offset that must
// stay whatever the policy says. AppendTimeMs is when its newest entry was appended.
type Log struct {
	Spans        []state.Span
	Start, End   record.Offset
	AppendTimeMs int64
}

// Plan returns the log start that the policy asks for at nowMs. Time is that of the appends, which is the leaders'
// clocks: nowMs must be the clock of the leader.
func (p Policy) Plan(nowMs int64, l Log) record.Offset {
	if p.old(nowMs, l.AppendTimeMs) && len(l.Spans) > 0 {
		return max(l.Start, l.End)
	}
	spans := l.Spans
	for len(spans) > 1 && spans[1].Base <= l.Start {
		spans = spans[1:] // given up already, though it may still be there
	}
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

func (p Policy) old(nowMs, appendMs int64) bool { return p.Ms > 0 && nowMs-appendMs > p.Ms }
