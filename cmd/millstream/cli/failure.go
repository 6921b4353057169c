package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnreachable = 6
	exitPartial     = 7
	exitInterrupted = 130
)

// failure is what a person is told: what did not work, why, and what to try. Each is one line.
type failure struct {
	code int
	what string // empty: nothing is printed
	why  string
	try  string
}

// Error returns all of it in one line.
func (f *failure) Error() string {
	parts := []string{f.what}
	if f.why != "" {
		parts = append(parts, f.why)
	}
	if f.try != "" {
		parts = append(parts, f.try)
	}
	return strings.Join(parts, "; ")
}

func fail(code int, what string) *failure { return &failure{code: code, what: what} }

func usage(format string, args ...any) *failure { return fail(exitUsage, fmt.Sprintf(format, args...)) }

func (f *failure) because(format string, args ...any) *failure {
	f.why = oneLine(fmt.Sprintf(format, args...))
	return f
}

func (f *failure) hint(format string, args ...any) *failure {
	f.try = oneLine(fmt.Sprintf(format, args...))
	return f
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// report prints an error as what, why and what to try, and returns the exit code.
func (s *shell) report(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exitInterrupted
	}
	var f *failure
	if !errors.As(err, &f) {
		f = fail(exitFailure, oneLine(err.Error()))
	}
	if f.what == "" { // all has been said
		return f.code
	}
	s.sayf("error: %s", f.what)
	if f.why != "" {
		s.sayf("  why: %s", f.why)
	}
	if f.try != "" {
		s.sayf("  try: %s", f.try)
	}
	return f.code
}

// refused turns an answer of a member into a failure: what was asked for, why it was refused, and an exit
// code that fits. message is the member's own sentence, if it sent one.
func refused(what string, err error, message string) *failure {
	f := fail(exitFailure, what)
	var ke *kerr.Error
	why := oneLine(err.Error())
	if errors.As(err, &ke) {
		why = strings.ToLower(strings.ReplaceAll(ke.Message, "_", " ")) + ": " + oneLine(ke.Description)
		f.code = codeOf(ke)
	}
	if message != "" {
		why = oneLine(message)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		f.code, why = exitUnreachable, "no answer within the time limit"
		f.try = "a longer --timeout, or look at the member's log"
	}
	f.why = why
	return f
}

func codeOf(e *kerr.Error) int {
	switch e.Code {
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code, kerr.ResourceNotFound.Code:
		return exitNotFound
	case kerr.TopicAlreadyExists.Code:
		return exitConflict
	case kerr.RequestTimedOut.Code, kerr.LeaderNotAvailable.Code, kerr.NotLeaderForPartition.Code,
		kerr.BrokerNotAvailable.Code, kerr.NotController.Code:
		return exitUnreachable
	}
	return exitFailure
}
