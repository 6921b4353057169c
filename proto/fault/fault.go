package fault

import (
	"errors"
	"fmt"
)

// Error is a refusal that a client can see. Message says what and why in one line, Hint what to try.
type Error struct {
	Code    Code
	Message string
	Hint    string
	cause   error
}

// New makes a refusal; the message is built as by fmt.Sprintf. An error given with %w stays reachable by
// errors.Is and errors.As.
func New(code Code, format string, args ...any) *Error {
	e := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: e.Error(), cause: errors.Unwrap(e)}
}

// WithHint returns a copy that also says what to try.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Error returns "message; hint".
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}

// Unwrap returns the error that was given to New with %w, if any.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a refusal of the same code, so errors.Is(err, fault.NotLeader) works.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Retryable reports whether the same request may succeed later.
func (e *Error) Retryable() bool { return e.Code.Retryable() }

// CodeOf returns the code of the first refusal in err's chain: None for nil, Unknown where there is no
// refusal.
func CodeOf(err error) Code {
	if err == nil {
		return None
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return Unknown
}
