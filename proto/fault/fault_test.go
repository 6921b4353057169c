package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Goal: every code has a row that is complete. Method: walk the table; the families' rules are checked too.
func TestEveryCodeHasARow(t *testing.T) {
	names := map[string]Code{}
	for c := None; c < codeCount; c++ {
		r := table[c]
		if r.name == "" || r.http == 0 {
			t.Errorf("code %d has no row", c)
			continue
		}
		if other, twice := names[r.name]; twice {
			t.Errorf("%q names codes %d and %d", r.name, other, c)
		}
		names[r.name] = c
		if c == None {
			continue
		}
		if r.family == FamilyNone || r.grpc == grpcOK || r.http < 400 || r.kafka == 0 {
			t.Errorf("%s: family %d, grpc %d, http %d, kafka %d", r.name, r.family, r.grpc, r.http, r.kafka)
		}
		if r.family == FamilyWait && !r.retry {
			t.Errorf("%s: family wait, but not retryable", r.name)
		}
	}
}

// Codes without a Kafka number of their own borrow the nearest one.
var borrowed = map[Code]Code{
	DiskFull: StorageError, Closing: NotLeader, UnknownApp: GroupIDNotFound, UnknownStore: InvalidRequest,
	TaskNotRunning: CoordinatorLoadInProgress,
}

// Goal: a Kafka number names one code, and is retryable here only where clients retry it. Method: walk the
// table; franz-go's table of Kafka's errors is the reference.
func TestKafkaNumbers(t *testing.T) {
	owner := map[int16]Code{}
	for c := None + 1; c < codeCount; c++ {
		if from, ok := borrowed[c]; ok {
			if c.Kafka() != from.Kafka() {
				t.Errorf("%s has number %d, %s has %d", c, c.Kafka(), from, from.Kafka())
			}
			continue
		}
		if other, twice := owner[c.Kafka()]; twice {
			t.Errorf("number %d is %s and %s", c.Kafka(), other, c)
		}
		owner[c.Kafka()] = c
		k := kerr.TypedErrorForCode(c.Kafka())
		if c != Unknown && (k == nil || k.Code != c.Kafka()) {
			t.Errorf("%s: number %d is none of Kafka's", c, c.Kafka())
			continue
		}
		if c != Unknown && c.Retryable() && !k.Retriable {
			t.Errorf("%s is retryable, Kafka's %s is not", c, k.Message)
		}
	}
}

// Goal: codes are found through wrapping, causes too, and by nothing else. Method: one error a row.
func TestIsAndCodeOf(t *testing.T) {
	base := New(NotLeader, "partition %d moved", 3)
	tests := []struct {
		name string
		err  error
		code Code
		is   error
		want bool
	}{
		{"bare", base, NotLeader, NotLeader, true},
		{"other code", base, NotLeader, NotController, false},
		{"wrapped", fmt.Errorf("produce: %w", base), NotLeader, NotLeader, true},
		{"hint keeps the code", base.WithHint("ask again"), NotLeader, NotLeader, true},
		{"cause", New(StorageError, "read: %w", io.ErrUnexpectedEOF), StorageError, io.ErrUnexpectedEOF, true},
		{"a code as an error", fmt.Errorf("x: %w", Closing), Closing, Closing, true},
		{"foreign", io.EOF, Unknown, NotLeader, false},
		{"joined", errors.Join(io.EOF, base), NotLeader, NotLeader, true},
	}
	for _, tt := range tests {
		if got := CodeOf(tt.err); got != tt.code {
			t.Errorf("%s: code %s, want %s", tt.name, got, tt.code)
		}
		if got := errors.Is(tt.err, tt.is); got != tt.want {
			t.Errorf("%s: Is(%v) = %v", tt.name, tt.is, got)
		}
	}
	if CodeOf(nil) != None {
		t.Error("no error has a code")
	}
	if Code(250).Kafka() != -1 {
		t.Error("a code of a newer build is not unknown")
	}
}

// Goal: the text says what, why and what to try. Method: with and without a hint; WithHint leaves the first
// alone.
func TestText(t *testing.T) {
	e := New(DiskFull, "%d bytes left", 5)
	h := e.WithHint("free %s", "space")
	if e.Error() != "5 bytes left" || h.Error() != "5 bytes left; free space" || e.Hint != "" {
		t.Errorf("%q, %q", e, h)
	}
	if !h.Retryable() || New(InvalidTopic, "x").Retryable() {
		t.Error("retryable is not the table's")
	}
}
