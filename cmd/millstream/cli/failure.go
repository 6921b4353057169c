package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/millstream-io/millstream/proto/fault"
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

// refused turns a refusal of a member into a failure: what was asked for, why it was refused, what to try, and an exit
// code that fits.
func refused(what string, err error) *failure {
	f := fail(exitOf(err), what)
	if errors.Is(err, context.DeadlineExceeded) || fault.CodeOf(err) == fault.RequestTimedOut {
		f.code = exitUnreachable
		return f.because("no answer within the time limit").hint("a longer --timeout, or look at the member's log")
	}
	var refusal *fault.Error
	if !errors.As(err, &refusal) {
		return f.because("%s", err.Error())
	}
	f.because("%s", refusal.Message)
	if refusal.Code == fault.UnknownApp {
		return f.hint("`millstream app ls`")
	}
	return f.hint("%s", refusal.Hint)
}

// exitOf is the exit code for a refusal.
func exitOf(err error) int {
	switch code := fault.CodeOf(err); code {
	case fault.UnknownTopicOrPartition, fault.UnknownTopicID, fault.InconsistentTopicID, fault.GroupIDNotFound,
		fault.UnknownApp, fault.UnknownStore:
		return exitNotFound
	case fault.TopicAlreadyExists, fault.NonEmptyGroup, fault.GroupSubscribedToTopic, fault.UnknownMember,
		fault.RebalanceInProgress, fault.IllegalGeneration, fault.InconsistentGroupProtocol:
		return exitConflict
	default:
		if f := code.Family(); code.Retryable() && (f == fault.FamilyPlace || f == fault.FamilyWait) {
			return exitUnreachable
		}
	}
	return exitFailure
}
